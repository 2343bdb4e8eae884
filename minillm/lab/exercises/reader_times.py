"""The exercise 14.times: what a reader felt, from the moment of asking and the moments of the tokens."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

NAMES = ("time to first token", "time per output token", "longest gap")
Felt = tuple[float | None, ...]


def felt_by_definition(arrival: float, token_times: Sequence[float]) -> Felt:
    """(TTFT, TPOT, longest gap) by their definitions; a single token has neither of the last two."""
    first, last, rest = token_times[0], token_times[-1], len(token_times) - 1
    gaps = [b - a for a, b in pairwise(token_times)]
    return first - arrival, (last - first) / rest if rest else None, max(gaps) if rest else None


def _differs(call: LearnerCall, arrival: float, token_times: Sequence[float]) -> Finding | None:
    got, want = call(arrival, list(token_times)), felt_by_definition(arrival, token_times)
    asked = (("arrival", f"{arrival:g}"), ("token_times", ", ".join(f"{moment:g}" for moment in token_times[:9])))
    if not isinstance(got, tuple | list) or len(got) != 3:
        return Finding("Return three values: TTFT, TPOT, longest gap.", (*asked, ("got", repr(got)[:60])))
    for name, mine, right in zip(NAMES, got, want, strict=True):
        if right is None and mine is not None:
            return Finding("", (*asked, ("what", name), ("got", repr(mine)[:40]), ("want", "None")))
        if right is not None and (finding := same(mine, right, (1e-9, 1e-12))):
            return Finding("", (*asked, ("what", name), *(fact for fact in finding.facts if fact[0] != "what")))
    return None


def _case(name: str, meaning: str, arrival: float, *token_times: float) -> Property:
    return Property(name, lambda call: _differs(call, arrival, token_times), meaning)


def _drawn(call: LearnerCall) -> Finding | None:
    draw = random.Random(14)
    for count in (1, 2, 3, 10, 50):
        moment = arrival = draw.uniform(0, 100)
        times = []
        for _ in range(count):
            moment += draw.expovariate(20)
            times.append(moment)
        if finding := _differs(call, arrival, times):
            return finding
    return None


def _one_clock(call: LearnerCall) -> bool:
    """Intervals do not depend on when the clock was started."""
    early, late = call(1.0, [2.0, 2.5, 4.0]), call(1001.0, [1002.0, 1002.5, 1004.0])
    return all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(early, late, strict=True))


TIMES = Exercise(
    id="14.times",
    title="What the reader felt",
    statement=(
        "A request came at `arrival`, and its tokens at `token_times` (rising, at least one; all in seconds of one clock). Return (TTFT, TPOT, longest gap): the "
        "time to the first token from arrival, the time per output token after the first, and the longest gap between two tokens that follow each other. A text of one token has the first only: "
        "return None for the others."
    ),
    signature="felt(arrival, token_times)",
    layers={
        "values": (
            _case("four tokens", "TTFT is counted from arrival; TPOT shares the time after the first token among the tokens after the first.", 1.0, 2.0, 2.25, 2.5, 3.5),
            _case("two tokens", "One gap, which is the TPOT and the longest gap.", 0.0, 3.0, 5.0),
            _case("one token", "There is no gap: None, not 0, or a mean over requests would be pulled down.", 2.0, 2.5),
            _case("a stutter", "The longest gap is a single one; a mean hides it.", 0.0, 0.1, 0.2, 0.3, 1.3, 1.4),
            _case("the stutter is last", "Look at every gap, the last one too.", 0.0, 0.1, 0.2, 0.3, 1.3),
            _case("a long queue", "Waiting before the first token is no gap between tokens.", 0.0, 9.0, 9.1, 9.2),
        ),
        "properties": (
            Property("drawn at random", _drawn, "Definitions hold for every text."),
            Property("any clock", _one_clock, "Only differences of moments mean anything."),
        ),
    },
    hints=(
        "All three are differences of moments; none needs a step, a model or a schedule.",
        "n tokens have n - 1 gaps between them, and the gaps add up to last - first.",
        "TTFT = token_times[0] - arrival\nTPOT = (token_times[-1] - token_times[0]) / (n - 1)\nlongest = the largest of b - a over neighbours a, b",
    ),
    solution="minillm/serving/watching/request_times.py: RequestTimes, and notebooks/solutions/lesson_14.py: felt",
    time_limit_s=5.0,
)  # fmt: skip
