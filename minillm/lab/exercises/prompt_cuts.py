"""The exercise 14.cut: prompts cut into pieces that fill a step exactly, judged by laws and by whole days of steps."""

from __future__ import annotations

import random
from collections.abc import Sequence

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

FAR = 10**12


def _broken(call: LearnerCall, writing: int, prompts: Sequence[int], budget: int) -> tuple[list[int], str]:
    """-> the answer as a list, and which law it breaks, or ""."""
    got = call(writing, list(prompts), budget)
    if not isinstance(got, list | tuple) or len(got) != len(prompts) or not all(type(n) is int for n in got):
        return [], f"want a list of {len(prompts)} whole numbers, one for each prompt"
    pieces, room = list(got), max(0, budget - writing)
    if any(not 0 <= piece <= left for piece, left in zip(pieces, prompts, strict=True)):
        return pieces, "a piece has between 0 tokens and all that is left of its prompt"
    if sum(pieces) > room:
        return pieces, f"{writing} for those who write and {sum(pieces)} of prompts are more than {budget}"
    if sum(pieces) < min(room, sum(prompts)):
        return pieces, f"{room - sum(pieces)} tokens of the step are left, and prompts are not read yet"
    unfinished = [i for i, (piece, left) in enumerate(zip(pieces, prompts, strict=True)) if piece < left]
    if unfinished and any(pieces[unfinished[0] + 1 :]):
        return pieces, f"prompt {unfinished[0]} is not read whole, and one behind it gets tokens"
    return pieces, ""


def _judge(call: LearnerCall, writing: int, prompts: Sequence[int], budget: int) -> Finding | None:
    pieces, what = _broken(call, writing, prompts, budget)
    if not what:
        return None
    asked = f"writing={writing}, prompts={list(prompts[:8])}, budget={budget}"
    return Finding("", (("inputs", asked), ("got", repr(pieces[:8])), ("what", what)))


def _case(name: str, meaning: str, writing: int, prompts: Sequence[int], budget: int) -> Property:
    return Property(name, lambda call: _judge(call, writing, prompts, budget), meaning)


def _drawn(call: LearnerCall) -> Finding | None:
    draw = random.Random(14)
    for _ in range(150):
        prompts = [draw.randint(1, 60) for _ in range(draw.randint(0, 6))]
        if finding := _judge(call, draw.randint(0, 40), prompts, draw.randint(1, 64)):
            return finding
    return None


def _days(call: LearnerCall) -> Finding | None:
    """Steps until all prompts are read: as few as the budget allows, and the first is done no later than alone."""
    draw = random.Random(41)
    for _ in range(20):
        writing, room = draw.randint(0, 9), draw.randint(1, 32)
        prompts = left = [draw.randint(1, 90) for _ in range(draw.randint(1, 5))]
        steps, first = 0, 0
        while any(left) and steps < 500:
            steps += 1
            pieces, what = _broken(call, writing, left, writing + room)
            if what:
                facts = (("prompts", repr(prompts)), ("step", str(steps)), ("left", repr(left)), ("got", repr(pieces)), ("what", what))  # fmt: skip
                return Finding("", facts)
            left = [n - piece for n, piece in zip(left, pieces, strict=True)]
            first = first or (steps if not left[0] else 0)
        if (steps, first) != (-(-sum(prompts) // room), -(-prompts[0] // room)):
            return Finding("", (("prompts", repr(prompts)), ("steps", f"{steps}, the first prompt after {first}")))
    return None


CUT = Exercise(
    id="14.cut",
    title="Fill the step exactly",
    statement=(
        "A step computes at most `budget` tokens. `writing` texts are being written, and take a token each before anybody else. `prompts` lists how many tokens "
        "each unread prompt still has, in order of arrival. Return a list of pieces, how many tokens of each prompt this step reads: together as many as the step has left (or all there are), "
        "the first prompt first, and no prompt before those in front of it are read whole."
    ),
    signature="cut(writing, prompts, budget)",
    layers={
        "values": (
            _case("all of it fits", "A prompt that fits is read whole.", 3, [20], 64),
            _case("cut at the budget", "The piece is exactly what the step has left.", 3, [700], 64),
            _case("two fit", "Read one prompt after the other while there is room.", 2, [10, 20], 64),
            _case("the second is cut", "What the first leaves belongs to the second: the step must not go out with room.", 2, [10, 700, 5], 64),
            _case("exactly full", "Nothing is left for the second prompt: its piece is 0, and it is in the list.", 4, [60, 5], 64),
            _case("only writers", "As many write as the step has tokens: no prompt is read now.", 64, [10], 64),
            _case("more writers than tokens", "Pieces are never negative.", 70, [10, 10], 64),
            _case("no prompts", "Nobody to read for: an empty list.", 5, [], 64),
            _case("read already", "A prompt with nothing left gets 0, and does not hold up the next.", 1, [0, 9], 64),
        ),
        "properties": (
            Property("drawn at random", _drawn, "Every step is full, or nothing is left to read."),
            Property("days", _days, "Step after step, prompts are read in as few steps as the budget allows, in order of arrival."),
        ),
        "resources": (
            _case("a very long prompt", "Do not count tokens one by one: a piece is the smaller of two numbers.", 3, [FAR, FAR], FAR + 7),
        ),
    },
    hints=(
        "A step has budget - writing tokens for prompts. Go through the prompts in order, and keep count of what is left.",
        "A piece is the smaller of what its prompt has left and what the step has left.",
        "left = max(0, budget - writing)\nfor each prompt:  piece = min(prompt, left);  left -= piece",
    ),
    solution="notebooks/solutions/lesson_14.py: cut",
    time_limit_s=10.0,
)  # fmt: skip
