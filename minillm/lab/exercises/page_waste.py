"""The exercise 10.unused: how many slots are given out and hold nothing, when texts get whole pages.

Whole numbers only. With pages as long as the longest text it is the waste of reserving for the worst case, so that one
formula serves both halves of the lesson.
"""

from __future__ import annotations

from minillm.lab.checks.cases import Numbers
from minillm.lab.checks.exercise import Exercise


def unused_by_counting(lengths: list[int], block_size: int) -> int:
    """The definition: hand each text pages until it fits, and count the slots left over."""
    left = 0
    for length in lengths:
        room = 0
        while room < length:
            room += block_size
        left += room - length
    return left


def _case(name: str, meaning: str, lengths: list[int], block_size: int) -> Numbers:
    want = unused_by_counting(lengths, block_size)
    return Numbers(name, (lengths, block_size), want=want, unit="slots", meaning=meaning)


FAR = 10**15
UNUSED = Exercise(
    id="10.unused",
    title="How many slots stay empty?",
    statement=(
        "Each text gets as many whole pages of `block_size` slots as it needs, and shares none of them. `lengths` are the "
        "texts' tokens, one slot each. Return the number of slots that are given out and hold no token."
    ),
    signature="unused(lengths, block_size)",
    layers={
        "values": (
            _case("one text", "10 tokens take 3 pages of 4 slots: 12, of which 2 stay empty.", [10], 4),
            _case("a full last page", "8 tokens fill 2 pages of 4, and need no third.", [8], 4),
            _case("shorter than a page", "A text of 3 tokens takes a page to itself.", [3], 16),
            _case("several texts", "Each text has its own last page: add what stays empty in each.", [10, 8, 3, 1], 4),
            _case("pages of one slot", "With a page a token nothing can stay empty.", [5, 1, 9], 1),
            _case("reserved for the longest", "One page of 2,048 slots a text is what a server without pages does.", [102, 225, 2048, 40], 2048),
            _case("nothing kept yet", "A text without tokens takes no page.", [0, 4, 0], 4),
            _case("nobody there", "No texts, no pages.", [], 16),
        ),
        "resources": (
            Numbers("a very long text", ([FAR - 3], 10), want=3, unit="slots", meaning="Do not count pages one by one: there is a formula."),
        ),
    },
    hints=(
        "Only the last page of a text can have empty slots.",
        "A text of n tokens takes the smallest multiple of block_size that is not below n.",
        "pages = n divided by block_size, rounded up: -(-n // block_size)\nthe sum over the texts of pages * block_size - n",
    ),
    solution="notebooks/solutions/lesson_10.py: unused",
    time_limit_s=2.0,
)  # fmt: skip
