"""The clinic 07.place: a cache that keeps two numbers for one fact, and forgets one of them.

Where a text stands is asked twice, once for the memory and once for the rotary embedding. The laws drive a learner's
object as an engine would, alone and behind a small model, and compare with what a fresh start gives.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from minillm.errors import InvalidValue
from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.exercises.greedy import small_model
from minillm.lab.placed_cache import PlacedCache

IDS = [(11 * i * i + 5 * i + 7) % 61 for i in range(40)]


def _scores(cache: PlacedCache, ids: list[int]) -> Tensor:
    with torch.no_grad():
        return small_model()(torch.tensor([ids]), cache)[0]


def _alone(ids: list[int], last: int) -> Tensor:
    """The scores of the last rows with no cache at all."""
    with torch.no_grad():
        return small_model()(torch.tensor([ids]))[0, -last:]


def _is_at(place: Any, start: int, count: int, what: str) -> Finding | None:
    got, want = (place.kept, tuple(place.positions(count))), (start, (start, start + count))
    return None if got == want else Finding("", (("what", f"(kept, positions({count})) {what}"), ("got", repr(got)), ("want", repr(want))))  # fmt: skip


def _begins(call: LearnerCall) -> Finding | None:
    place = call(32)
    if finding := _is_at(place, 0, 5, "at the start"):
        return finding
    place.advance(5)
    return _is_at(place, 5, 1, "after advance(5)")


def _asking_moves_nothing(call: LearnerCall) -> Finding | None:
    place = call(32)
    place.advance(4)
    place.positions(3)
    return _is_at(place, 4, 3, "asked twice")


def _after_reset(call: LearnerCall) -> Finding | None:
    place = call(32)
    place.advance(9)
    place.reset()
    return _is_at(place, 0, 4, "after reset()")


def _after_truncate(call: LearnerCall) -> Finding | None:
    place = call(32)
    place.advance(9)
    for length in (9, 6, 0):
        place.truncate(length)
        if finding := _is_at(place, length, 2, f"after truncate({length})"):
            return finding
    return None


def _refuses(call: LearnerCall, what: str, kept: int, act: Any) -> Finding | None:
    place = call(8)
    place.advance(kept)
    try:
        act(place)
    except ValueError:
        return _is_at(place, kept, 1 if kept < 8 else 0, "after the refusal")
    return Finding("", (("what", f"{what}, with {kept} of 8 kept"), ("got", "no error"), ("want", "ValueError")))


def _growing(call: LearnerCall) -> Finding | None:
    return _refuses(call, "truncate(6)", 5, lambda place: place.truncate(6)) or _refuses(
        call, "truncate(-1)", 5, lambda place: place.truncate(-1)
    )


def _full(call: LearnerCall) -> Finding | None:
    return _refuses(call, "positions(1)", 8, lambda place: place.positions(1)) or _refuses(
        call, "positions(4)", 5, lambda place: place.positions(4)
    )


def _no_more_room(call: LearnerCall) -> Finding | None:
    place = call(8)
    for change in (place.reset, lambda: place.truncate(0)):
        place.advance(8)
        change()
        try:
            got = place.positions(9)
        except ValueError:
            continue
        return Finding(
            "", (("what", "positions(9) of a memory of 8, used before"), ("got", repr(got)), ("want", "ValueError"))
        )
    return None


def _writes_again(call: LearnerCall) -> Finding | None:
    cache = PlacedCache(small_model(), call(40), 40)
    _scores(cache, IDS[:20])
    cache.place.truncate(12)
    return same(_scores(cache, IDS[30:36]), _alone(IDS[:12] + IDS[30:36], 6))


def _many_chats(call: LearnerCall) -> Finding | None:
    """Thirty chats of 30 tokens, one after the other, are 900 positions; the model has 256."""
    cache = PlacedCache(small_model(), call(40), 40)
    for chat in range(30):
        try:
            got = _scores(cache, IDS[:30])
        except InvalidValue as error:
            return Finding("", (("what", f"chat {chat + 1} of 30 tokens"), ("raised", str(error))))
        if finding := same(got, _alone(IDS[:30], 30)):
            return Finding("", (("what", f"chat {chat + 1}"), *finding.facts))
        cache.place.reset()
    return None


PLACE = Exercise(
    id="07.place",
    title="Clinic: where the text stands",
    statement=(
        "Mend the patient, a class: Mended(max_length) with the number `kept`, and positions(count) -> (start, stop), "
        "advance(count), truncate(length), reset(). Refuse with ValueError, leaving all as it was, tokens that find no room "
        "(in positions) and a truncate that is negative or longer than what is kept."
    ),
    signature="Mended(max_length)",
    layers={
        "contract": (
            Property("begins at 0 and advances", _begins, "A new text keeps nothing, and its first token stands at position 0."),
            Property("asking moves nothing", _asking_moves_nothing, "`positions` only answers; a pass counts its tokens with `advance`, once."),
        ),
        "values": (
            Property("after truncate", _after_truncate, "What was cut off is neither kept nor counted: the next token stands where the text now ends."),
            Property("after reset", _after_reset, "After a reset the next token is the first of its text, and stands at position 0."),
            Property("a truncate that grows", _growing, "What lies behind the end is some other text's: a truncate may not bring it back."),
            Property("as much room as before", _no_more_room, "A memory that is used again is no larger than it was."),
            Property("a full memory", _full, "A token that finds no room must be refused: torch writes it nowhere, and says nothing."),
        ),
        "properties": (
            Property("write again from the middle", _writes_again, "Cut a text back and write on: the scores are those of the text without the part cut off."),
            Property("many chats in one cache", _many_chats, "A cache may serve one chat after another, for ever."),
        ),
    },
    hints=(
        "Two numbers are kept for one fact. When do they differ?",
        "In a memory filled from the left, the next token's position is the number of tokens kept, always.",
        "keep max_length and kept, and nothing else\npositions: start = kept, stop = kept + count; ValueError if stop > max_length\n"
        "truncate: ValueError unless 0 <= length <= kept; then kept = length\nreset: truncate(0)",
    ),
    solution="notebooks/solutions/lesson_07.py: Mended",
)  # fmt: skip
