"""The exercise 07.ring: which slots of a ring hold the keys that a query may see.

Whole numbers only. A ring forgets by overwriting, so the question has three answers: these slots in this order, fewer
of them while the text is young, or that a key one needs is gone.
"""

from __future__ import annotations

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property, Values, given
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding


def ring_slots(query: int, seen: int, slots: int, window: int) -> list[int]:
    """By simulation: write `seen` tokens into the ring, then look for each position the query may see."""
    ring: list[int | None] = [None] * slots
    for position in range(seen):
        ring[position % slots] = position
    wanted = range(max(0, query - window + 1), query + 1)
    if any(position not in ring for position in wanted):
        raise ValueError
    return [ring.index(position) for position in wanted]


def _case(name: str, meaning: str, query: int, seen: int, slots: int, window: int) -> Values:
    return Values(name, lambda: given(query, seen, slots, window), ring_slots, meaning)


def _gone(name: str, meaning: str, *numbers: int) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        call.last_given = given(*numbers)
        try:
            got = call.function(*numbers)
        except ValueError:
            return None
        told = ", ".join(f"{n}={v}" for n, v in zip(("query", "seen", "slots", "window"), numbers, strict=True))
        return Finding("", (("inputs", told), ("got", repr(got)), ("want", "ValueError")))

    return Property(name, law, meaning)


def _plain_ints(call: LearnerCall) -> Finding | None:
    got = call(2, 3, 4, 2)
    right = isinstance(got, list) and {type(slot) for slot in got} == {int}
    return None if right else Finding("", (("got", repr(got)), ("want", "a list of ints")))


def _simulated(call: LearnerCall) -> Finding | None:
    for slots in (1, 2, 5, 8):
        for window in range(1, slots + 1):
            for seen in range(1, 3 * slots):
                for query in range(max(0, seen - 1 - (slots - window)), seen):
                    got, want = call.function(query, seen, slots, window), ring_slots(query, seen, slots, window)
                    if got != want:
                        told = f"query={query}, seen={seen}, slots={slots}, window={window}"
                        return Finding("", (("inputs", told), ("got", repr(got)), ("want", repr(want))))
    return None


def _far_on(call: LearnerCall) -> Finding | None:
    """The answer at a far position, by arithmetic: whole turns of the ring change nothing."""
    near, far = call(20, 21, 8, 6), call(20 + 8 * 10**12, 21 + 8 * 10**12, 8, 6)
    return None if near == far else Finding("", (("got", repr(far)), ("want", repr(near))))


RING = Exercise(
    id="07.ring",
    title="Which slots of a ring does a query see?",
    statement=(
        "A ring of `slots` slots keeps position p in slot p % slots; `seen` tokens have been written. The query at position "
        "`query` (below seen) sees the last `window` positions up to its own, fewer at the start of the text. Return their slots as a list, oldest "
        "position first. If one of these positions has been overwritten, raise ValueError."
    ),
    signature="ring_slots(query, seen, slots, window)",
    layers={
        "contract": (Property("a list of ints", _plain_ints, "Return a list of whole numbers."),),
        "values": (
            _case("a young text", "Three tokens: the third sees three, however wide the window.", 2, 3, 4, 4),
            _case("a window wider than the ring", "A young text has all its keys, however wide the window.", 2, 3, 4, 9),
            _case("just full", "Four tokens in four slots: nothing has been overwritten yet.", 3, 4, 4, 4),
            _case("the first turn", "Position 4 took the slot of position 0; the oldest visible key is now in slot 1.", 4, 5, 4, 4),
            _case("many turns", "Slots are positions modulo the ring, and the oldest comes first.", 1001, 1002, 8, 8),
            _case("a window smaller than the ring", "The ring still holds older keys; the query may not see them.", 13, 14, 8, 3),
            _case("not the newest query", "In a chunk, earlier queries do not see later tokens, though they are written.", 10, 13, 8, 5),
            _case("a window of one", "A query always sees itself.", 9, 10, 4, 1),
            _gone("one too old", "Position 6 is the oldest that query 11 may see, and position 14 took its slot.", 11, 15, 8, 6),
            _gone("more than the ring holds", "The query sees six positions, and the ring has four slots: two of them are gone.", 9, 10, 4, 6),
            _gone("a chunk as long as the ring", "The chunk has overwritten what its own first queries need.", 8, 16, 8, 4),
        ),
        "properties": (
            Property("like a ring that is really written", _simulated, "Write positions into a list of slots, and look them up: that is the meaning."),
            Property("whole turns change nothing", _far_on, "Adding a multiple of `slots` to query and seen gives the same slots, at once: there is nothing to simulate."),
        ),
    },
    hints=(
        "First the positions that the query sees, as if there were no ring; then where each of them lies.",
        "The ring holds the positions seen - slots to seen - 1, as far as they exist, each in the slot position % slots.",
        "oldest = query - window + 1, but not below 0\nraise ValueError if oldest lies before the oldest position still held\n"
        "return [position % slots for every position from oldest to query]",
    ),
    solution="notebooks/solutions/lesson_07.py: ring_slots",
    time_limit_s=4.0,
)  # fmt: skip
