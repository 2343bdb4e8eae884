"""The exercise 12.keeps_up: the smallest batch with which a server is as fast as its visitors."""

from __future__ import annotations

import random

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Numbers, Property, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding


def keeps_up_by_hand(rate: int, fixed_us: int, row_us: int, most: int) -> int:
    """The definition: the first size whose passes, one after the other, compute `rate` rows a second; 0 for none."""
    for size in range(1, most + 1):
        if size * 1_000_000 >= rate * (fixed_us + size * row_us):
            return size
    return 0


def _case(name: str, meaning: str, *args: int) -> Numbers:
    return Numbers(name, args, keeps_up_by_hand(*args), "requests", meaning)


def _at_random(call: LearnerCall) -> Finding | None:
    draw = random.Random(12)
    for _ in range(300):
        args = draw.randint(1, 3000), draw.randint(0, 9000), draw.randint(1, 2000), draw.randint(1, 32)
        if finding := same(call(*args), keeps_up_by_hand(*args)):
            return Finding("", (("rate, fixed_us, row_us, most", str(args)), *finding.facts))
    return None


KEEPS_UP = Exercise(
    id="12.keeps_up",
    title="How large must batches be?",
    statement=(
        "rate requests come in a second. A pass over b of them takes fixed_us + b * row_us microseconds, and the server does one pass "
        "after the other. Return the smallest batch size, at most most, with which it computes at least as many a second as come; 0 if "
        "there is none. All arguments are whole numbers."
    ),
    signature="keeps_up(rate, fixed_us, row_us, most)",
    layers={
        "values": (
            _case("the lesson's server", "A pass of b takes 4000 + 500 b µs, so b / that must be 500 a second.", 500, 4000, 500, 16),
            _case("one is enough", "222 a second are served one by one; 200 come.", 200, 4000, 500, 16),
            _case("exactly as fast", "8 in 8000 µs are exactly 1000 a second: that is enough.", 1000, 4000, 500, 16),
            _case("exactly as fast, and no round time", "7 in 8750 µs are exactly 800 a second; 8750 / 1 000 000 as a float is not.", 800, 7000, 250, 16),
            _case("a batch too small", "The size it takes is larger than the largest allowed.", 1400, 4000, 500, 16),
            _case("no batch is large enough", "A row takes 500 µs, so 2000 a second are never reached.", 2000, 4000, 500, 10_000),
            _case("nothing to share", "Without a fixed price a batch is as fast as its rows one by one.", 1500, 0, 500, 16),
            _case("nothing to share, and too many", "Without a fixed price no batch helps.", 2500, 0, 500, 16),
            _case("the largest allowed", "The largest batch is allowed too.", 1333, 4000, 500, 16),
        ),
        "properties": (Property("servers at random", _at_random, "Three hundred servers, beside trying every size."),),
    },
    hints=(
        "A batch of b is done every fixed_us + b * row_us microseconds. How many requests came meanwhile?",
        "The server keeps up if b is at least rate * (fixed_us + b * row_us) / 1 000 000. Compare whole numbers: no rounding.",
        "for b in 1 … most:\n    if b * 1_000_000 >= rate * (fixed_us + b * row_us): return b\nreturn 0",
    ),
    solution="notebooks/solutions/lesson_12.py: keeps_up",
)  # fmt: skip
