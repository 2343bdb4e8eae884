"""The exercise 03.running: the maximum and the sum of a softmax, from tiles that go by once.

Three passes over the row give the same two numbers. So the last layer plays a chip: what the answer computes is free, but
every tile that the stream hands out is a read from memory, and all that is kept takes room.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Make, Property, given, same
from minillm.lab.checks.compare import number_text
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.tile_stream import TileStream
from minillm.measure.chip import on_chip
from minillm.measure.counters import Counters, count

INF = math.inf


@contextmanager
def count_on_chip() -> Iterator[Counters]:
    """Counters of a body that runs inside one kernel: only what a stream loads moves bytes."""
    with count() as counters, on_chip():
        yield counters


@dataclass(frozen=True)
class ChipBudget:
    """Judges the technique of an answer that runs on chip: `limits` maps a counter of `ml.count()` to the most it may read.

    With `exact` it may not read less either: a row that was never loaded was looked at behind the stream's back.
    """

    name: str
    make: Make
    limits: Mapping[str, int]
    meaning: str
    exact: bool = False

    def judge(self, call: LearnerCall) -> Finding | None:
        counters = call.observe(self.make(), count_on_chip).counters
        for counter, limit in self.limits.items():
            used = getattr(counters, counter)
            if used > limit or (self.exact and used < limit):
                bound = "exactly" if self.exact else "at most"
                facts = (("got", f"{counter} {number_text(used)}"), ("want", f"{bound} {number_text(limit)}"))
                return Finding(self.meaning, facts)
        return None


def state_of(row: torch.Tensor) -> tuple[float, float]:
    """row (S,) -> m and l in float64; a row that holds nothing has m = -inf and l = 0."""
    scores = row.double()
    m = scores.max().item() if len(row) else -INF
    return m, (scores - m).exp().sum().item() if m > -INF else 0.0


def _compare(got: object, want: tuple[float, float]) -> Finding | None:
    if not isinstance(got, tuple | list) or len(got) != 2:
        return Finding("", (("got", type(got).__name__), ("want", "(m, l)")))
    for label, theirs, ours in zip("ml", got, want, strict=True):
        problem = same(theirs, ours, (1e-5, 1e-6))
        if problem:
            return Finding("", (("what", label), *(fact for fact in problem.facts if fact[0] != "what")))
    return None


def _row_case(name: str, meaning: str, row: list[float] | torch.Tensor, size: int) -> Property:
    tensor = torch.as_tensor(row)

    def law(call: LearnerCall) -> Finding | None:
        problem = _compare(call(TileStream(tensor, size)), state_of(tensor))
        shown = str([round(number, 3) for number in tensor.tolist()]) if len(tensor) <= 12 else f"{len(tensor)} scores"
        return problem and Finding("", (("inputs", f"{shown} in tiles of {size}"), *problem.facts))

    return Property(name, law, meaning)


def _two_numbers(call: LearnerCall) -> Finding | None:
    return _compare(call(TileStream(torch.tensor([0.0]), 1)), (0.0, 1.0))


def _tile_sizes(call: LearnerCall) -> Finding | None:
    row = inputs.normal("tile sizes", 23) * 3
    findings = (_compare(call(TileStream(row, size)), state_of(row)) for size in (1, 2, 5, 16, 23, 64))
    return next((finding for finding in findings if finding), None)


def _any_order(call: LearnerCall) -> Finding | None:
    row = inputs.normal("any order", 24) * 4
    findings = (_compare(call(TileStream(order, 5)), state_of(row)) for order in (row, row.flip(0), row.sort().values))
    return next((finding for finding in findings if finding), None)


def _shifted(call: LearnerCall) -> Finding | None:
    row = inputs.normal("shifted", 30)
    m, l = state_of(row)
    return _compare(call(TileStream(row.double() + 500, 7)), (m + 500, l))


_ROW = 4096  # float32 scores in the budgets, in tiles of 64


def _long_row():  # type: ignore[no-untyped-def]
    return given(TileStream(inputs.normal("long row", _ROW), 64))


RUNNING = Exercise(
    id="03.running",
    title="Maximum and sum in one pass",
    statement=(
        "`tiles` is a stream of tiles of one row of scores. Return (m, l): the row's maximum, and the sum of exp(score - m), "
        "having gone through the stream once. Keep m and l in float32 at least. A row that holds nothing gives (-inf, 0)."
    ),
    signature="running(tiles)",
    forbid=("softmax", "logsumexp", "logcumsumexp"),
    layers={
        "contract": (Property("returns m and l", _two_numbers, "Return two numbers, (m, l)."),),
        "values": (
            _row_case("two tiles", "Bring both sums to the larger maximum, then add.", [1.0, 3.0, 2.0, 5.0], 2),
            _row_case("the maximum comes last", "When m grows, what l holds must shrink by exp(m_old - m_new).", [0.0, 1, 2, 3, 4, 5], 2),
            _row_case("the maximum comes first", "When m stays, the new tile is measured against the old m.", [5.0, 4, 3, 2, 1, 0], 2),
            _row_case("a short last tile", "The last tile may be shorter than the others.", [0.5, -1.0, 2.0, 0.0, 1.0, 3.0, -2.0], 3),
            _row_case("scores of ±100", "exp of a large score overflows: subtract the maximum first.", [100.0, -100.0, 99.0, 98.0, 100.5, 0.0], 2),
            _row_case("far below zero", "All scores are near -300: is 0 the largest there? m starts below every score.", [-300.0, -301.0, -302.5, -299.0], 2),
            _row_case("a masked start", "In a tile of -inf, -inf - -inf is NaN: subtract a finite number instead.", [-INF, -INF, -INF, 1.0, 2.0], 2),
            _row_case("all masked", "A row that sees nothing has m = -inf and l = 0.", [-INF, -INF, -INF], 2),
            _row_case("no tiles", "A row without a single score has m = -inf and l = 0.", torch.zeros(0), 4),
            _row_case("half precision", "In float16 a sum of ones stops growing at 2048: keep l in float32.", torch.zeros(3000, dtype=torch.float16), 1),
        ),
        "properties": (
            Property("tile sizes", _tile_sizes, "How the row is cut must not show in the result."),
            Property("any order", _any_order, "Tiles may come in any order: the row's maximum and sum have none."),
            Property("shifted", _shifted, "500 added to every score adds 500 to m and leaves l alone."),
        ),
        "resources": (
            ChipBudget("one pass", _long_row, {"bytes_loaded": 4 * _ROW}, "Each tile is to be read once: every `for` over the stream is a pass, and the stream is the only way to the row.", exact=True),
            ChipBudget("forgets what it has read", _long_row, {"peak_on_chip_bytes": 4 * 64 * 8}, "Old tiles are being kept: after a tile, only m and l should be left of it."),
        ),
    },
    hints=(
        "Two numbers stand for all scores seen so far. A new tile has two such numbers of its own: join them.",
        "After every tile, l · exp(m) equals the sum of exp(score) over what was read. When m changes, l must change so that "
        "this stays true.",
        "m, l = -inf, 0\nfor tile in tiles:\n    m_new = the larger of m and the tile's maximum\n"
        "    l = l shrunk from m to m_new, plus the tile's exponentials measured from m_new\n    m = m_new\n"
        "and while m_new is -inf, measure from 0 instead",
    ),
    solution="kernels/softmax.py: the first loop of softmax_online, and notebooks/solutions/lesson_03.py",
)  # fmt: skip
