"""Exercises of lesson 03: what softmax reads, its running state, merging partial attentions, and a clinic."""

from __future__ import annotations

import math

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Numbers, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.exercises.merge_parts import MERGE
from minillm.lab.exercises.running_softmax import RUNNING

INF = math.inf

BYTES = Exercise(
    id="03.bytes",
    title="What does a safe softmax move?",
    statement=(
        "Return the bytes a safe softmax moves, read and written together, for `rows` rows of `width` numbers. A row that "
        "fits into `chip_bytes` is read once; any other is read once for each of the three passes. Each result is written once."
    ),
    signature="softmax_bytes(rows, width, chip_bytes, element_bytes=4)",
    layers={
        "contract": (
            Numbers("one number", (1, 1, 1024), want=8, unit="bytes", meaning="Four bytes in, four bytes out."),
        ),
        "values": (
            Numbers(
                "a row that fits",
                (1, 1000, 4096),
                want=8000,
                unit="bytes",
                meaning="A row on chip is read once and written once, however often it is looked at there.",
            ),
            Numbers(
                "a row that does not",
                (1, 1000, 2048),
                want=16_000,
                unit="bytes",
                meaning="Maximum, sum and division each read the row; the result is written once.",
            ),
            Numbers(
                "a row that just fits",
                (1, 1024, 4096),
                want=8192,
                unit="bytes",
                meaning="A row of exactly chip_bytes fits.",
            ),
            Numbers(
                "many short rows",
                (5000, 100, 4096),
                want=4_000_000,
                unit="bytes",
                meaning="Rows are handled one at a time: what must fit is one row, not all of them.",
            ),
            Numbers(
                "bfloat16",
                (3, 2000, 4096),
                want=24_000,
                unit="bytes",
                kwargs={"element_bytes": 2},
                meaning="Whether a row fits depends on its bytes, not on how many numbers it has.",
            ),
        ),
    },
    hints=(
        "Count the reads of one row, add its one write, and multiply.",
        "With room for a row, bytes in equal bytes out. Without, three times as many come in as go out.",
        "row = the bytes of one row\nreads = 1 if row fits, else 3\nreturn rows × (reads + 1) × row",
    ),
    solution="minillm/measure/kernel_cost.py: softmax_bytes (the kernel's two reads), and notebooks/solutions/lesson_03.py",
)


def _attend(scores: torch.Tensor, values: torch.Tensor, tile: int) -> torch.Tensor:
    return scores.softmax(-1).nan_to_num(0.0) @ values


def _row(name: str, S: int, D: int = 3, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    return inputs.normal(f"{name} scores", S) * scale, inputs.normal(f"{name} values", S, D)


def _case(name: str, meaning: str, row, tile: int, change=lambda scores: scores) -> Values:  # type: ignore[no-untyped-def]
    def make() -> Given:
        scores, values = row()
        return given(change(scores), values, tile)

    return Values(name, make, _attend, meaning, where=lambda index: f"channel {index[0]}")


def _masked_first(count: int):  # type: ignore[no-untyped-def]
    return lambda scores: torch.where(torch.arange(len(scores)) < count, -INF, scores)


def _tile_does_not_show(call: LearnerCall) -> Finding | bool | None:
    scores, values = _row("tile does not show", 29, scale=3.0)
    want = _attend(scores, values, 1)
    findings = (same(call(scores, values, tile), want) for tile in (1, 2, 8, 29, 64))
    return next((finding for finding in findings if finding), None)


def _order_does_not_show(call: LearnerCall) -> Finding | bool | None:
    scores, values = _row("order does not show", 32, scale=4.0)
    order = scores.argsort()
    return same(call(scores[order], values[order], 8), call(scores.flip(0), values.flip(0), 8))


CLINIC = Exercise(
    id="03.clinic",
    title="Clinic: right whenever the loudest key comes first",
    statement="Mend the patient: scores (S,) and values (S, D) -> softmax(scores) @ values (D,), in tiles of `tile`, in one pass.",
    signature="mended(scores, values, tile)",
    forbid=("softmax", "logsumexp"),
    layers={
        "contract": (
            Contract("returns (D,)", lambda: given(*_row("contract", 8), 4), _attend),
            Contract("keeps float64", lambda: given(*(t.double() for t in _row("64", 8)), 4), _attend),
        ),
        "values": (
            _case("one tile", "With one tile there is nothing to join: this worked before.", lambda: _row("one tile", 16), 16),
            _case("loudest first", "The maximum lies in the first tile: this worked before.", lambda: _row("first", 16), 4, lambda s: s.sort(descending=True).values),
            _case("loudest last", "When m grows, everything measured from the old m must shrink: l, and what else?", lambda: _row("last", 16), 4, lambda s: s.sort().values),
            _case("a short last tile", "16 scores in tiles of 5: what becomes of the last one?", lambda: _row("short", 16), 5),
            _case("fewer scores than a tile", "3 scores in tiles of 8 are one short tile, not none.", lambda: _row("few", 3), 8),
            _case("far below zero", "All scores are near -200: exp(score - 0) is 0 for each of them.", lambda: _row("below", 16), 4, lambda s: s - 200),
            _case("scores of ±100", "The maximum must be taken off before the exponential.", lambda: _row("loud", 16, scale=50.0), 4),
            _case("a masked start", "While m is -inf, -inf - -inf is NaN: measure from 0 until there is a score.", lambda: _row("masked", 16), 4, _masked_first(6)),
            _case("all masked", "A row that sees nothing gives 0, not 0 / 0.", lambda: _row("blind", 8), 4, _masked_first(8)),
        ),
        "properties": (
            Property("the tile does not show", _tile_does_not_show, "Any tile size gives the same result."),
            Property("the order does not show", _order_does_not_show, "Shuffle keys and values alike and nothing changes."),
        ),
        "resources": (
            Budget(
                "holds a tile, not the row",
                lambda: given(*_row("budget", 2048, D=4), 32),
                {"largest_tensor_bytes": 4 * 32 * 4},
                "Something as long as the row was stored: the weights must never exist all at once.",
            ),
        ),
    },
    hints=(
        "Three numbers are measured from m. When m moves, which of them move with it in the patient, and which do not?",
        "After each tile, l · exp(m) is the sum of exp(score) and acc · exp(m) the sum of exp(score) · v. Check it after "
        "two tiles, by hand, with the larger score in the second; then with all scores at -200.",
        "m starts at -inf, and the loop steps through range(0, S, tile)\n"
        "measured = 0 while m_new is -inf, else m_new\nshrink = exp(m - measured), for l and for acc alike\n"
        "at the end divide by l, or by 1 where l is still 0",
    ),
    solution="minillm/attention/tiled.py: attend_tile, and notebooks/solutions/lesson_03.py: mended",
)  # fmt: skip

EXERCISES = (BYTES, RUNNING, MERGE, CLINIC)
