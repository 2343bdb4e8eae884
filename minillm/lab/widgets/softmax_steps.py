"""Can softmax be done in one pass? A row of scores read tile by tile, and what is kept: m, l and the accumulator.

After each tile `m` is the largest score so far, `l` the sum of exp(score - m), and `acc` the sum of exp(score - m) times
the key's value. A tile that brings a larger m shrinks the old l and acc by one common factor, exp(m_old - m_new), and
nothing has to be read again. At the end acc / l is the softmax of the whole row times the values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.lab import figures
from minillm.lab.widgets.base import Choice, Explorer, Slider, State, Steps, Still, show
from minillm.lab.widgets.softmax_picture import draw_softmax_walk, short

if TYPE_CHECKING:
    from minillm.lab.widgets.shell import Panel

INF = math.inf
ROWS: Mapping[str, tuple[float, ...]] = {
    "one rise": (0.5, 1.0, -0.5, 0.2, 1.5, 3.0, 0.0, 2.0, 1.0, -1.0, 2.5, 0.5),
    "rising": (-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0),
    "falling": (3.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.0, -0.5, -1.0, -1.5, -2.0, -2.5),
    "large": (90.0, -40.0, 88.0, 0.0, 100.0, 97.0, -100.0, 99.0, 98.0, 30.0, 100.5, 60.0),
    "masked start": (-INF, -INF, -INF, -INF, -INF, 1.0, 0.5, 2.0, 1.5, 0.0, 2.5, 1.0),
}
TILE_SIZES = (1, 2, 3, 4, 5, 6, 8, 12, 16, 32)
MAX_SCORES, MAX_WIDTH = 32, 4


@dataclass(frozen=True)
class TileStep:
    """One tile and the state it left: keys `start` to `stop`, all in natural units; `shrink` is exp(m_before - m)."""

    start: int
    stop: int
    m_before: float
    m: float
    shrink: float
    tile_sum: float
    l_before: float
    l: float
    acc_before: tuple[float, ...]
    acc: tuple[float, ...]

    @property
    def out(self) -> tuple[float, ...]:
        """The output so far, acc / l; zeros while the row has seen nothing."""
        return tuple(a / self.l if self.l else 0.0 for a in self.acc)


@dataclass(frozen=True)
class SoftmaxWalk:
    """A row of scores (S,) and values (S, D) cut into tiles of `block`; `step` tiles are read, and `steps` holds them all."""

    row: str
    scores: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]
    block: int
    step: int
    steps: tuple[TileStep, ...]

    @property
    def current(self) -> TileStep | None:
        """The tile read last, or None before the first."""
        return self.steps[self.step - 1] if self.step else None

    @property
    def answer(self) -> tuple[float, ...]:
        """Softmax of the whole row times the values, by its definition: two passes."""
        largest = max(self.scores)
        weights = [math.exp(score - largest) if largest > -INF else 0.0 for score in self.scores]
        total = math.fsum(weights) or 1.0
        return tuple(math.fsum(map(math.prod, zip(weights, column, strict=True))) / total for column in self.columns)

    @property
    def columns(self) -> tuple[tuple[float, ...], ...]:
        """The values by component: (D, S)."""
        return tuple(zip(*self.values, strict=True))

    @property
    def l_never_shrunk(self) -> float:
        """What l would be now if the tiles' sums had simply been added: the classic mistake."""
        return math.fsum(step.tile_sum for step in self.steps[: self.step])


def online_softmax(
    scores: Sequence[float] | None = None, values: Sequence[Sequence[float]] | None = None, *, block: int = 4
) -> Panel | Still:
    """scores (S,), values (S, D) -> a widget: m, l and the accumulator after each tile, forwards and backwards.

    Without scores it offers prepared rows. -inf is a masked key. Raises InvalidType for what is not numbers, InvalidValue
    for NaN, +inf or more than 32 scores. Source: Milakov and Gimelshein 2018.
    """
    return show(explore_online_softmax(scores, values, block=block))


def explore_online_softmax(
    scores: Sequence[float] | None = None, values: Sequence[Sequence[float]] | None = None, *, block: int = 4
) -> Explorer[SoftmaxWalk]:
    """The same without the controls: `.data(step=2)`, `.text(row="large", block=3)`, `.still(...)`."""
    rows = dict(ROWS) if scores is None else {"yours": _numbers("scores", scores)}
    length = len(next(iter(rows.values())))
    table = _values(values, length)
    if isinstance(block, bool) or not isinstance(block, int) or not 1 <= block <= MAX_SCORES:
        rule = f"block must be a whole number from 1 to {MAX_SCORES}"
        raise InvalidValue(rule_numbers_remedy(rule, repr(block), "try 4"))
    block = min(block, length)
    sizes = tuple(sorted({block, length, *(size for size in TILE_SIZES if size <= length)}))
    first = next(iter(rows))
    walk = walk_row(rows[first], table, block)
    risen = [i for i, step in enumerate(walk, 1) if 0 < step.shrink < 1]
    controls = (
        Choice("row", "Row of scores", "", tuple(rows), first),
        Steps("block", "Tile", "scores", sizes, block),
        Slider("step", "Step", "tiles read", 0, -(-length // sizes[0]), 1, (risen or [1])[0]),
    )

    def compute(state: State) -> SoftmaxWalk:
        steps = walk_row(rows[state["row"]], table, state["block"])
        return SoftmaxWalk(
            state["row"], rows[state["row"]], table, state["block"], min(state["step"], len(steps)), steps
        )

    return Explorer("Online softmax", controls, compute, draw_softmax_walk, describe_softmax_walk)


def walk_row(scores: Sequence[float], values: Sequence[Sequence[float]], block: int) -> tuple[TileStep, ...]:
    """scores (S,), values (S, D), tile size -> the state after each tile, in the order of the kernel's loop."""
    m, l, acc = -INF, 0.0, (0.0,) * len(values[0])
    steps = []
    for start in range(0, len(scores), block):
        stop = min(start + block, len(scores))
        m_new = max(m, *scores[start:stop])
        m_safe = 0.0 if m_new == -INF else m_new  # a row that has seen nothing: -inf - -inf would be NaN
        p = [math.exp(score - m_safe) for score in scores[start:stop]]
        shrink, tile_sum = math.exp(m - m_safe), math.fsum(p)
        new = [
            math.fsum(map(math.prod, zip(p, column, strict=True))) for column in zip(*values[start:stop], strict=True)
        ]
        after = tuple(a * shrink + n for a, n in zip(acc, new, strict=True))
        steps.append(TileStep(start, stop, m, m_new, shrink, tile_sum, l, l * shrink + tile_sum, acc, after))
        m, l, acc = m_new, steps[-1].l, after
    return tuple(steps)


def describe_softmax_walk(data: SoftmaxWalk) -> str:
    """A table of the tiles read so far, what the last one did, and how far the answer is."""
    names = ["tile", "keys", "m", "shrink", "tile's sum", "l", "acc"]
    rows = [
        [str(i), f"{s.start}..{s.stop - 1}", *map(short, (s.m, s.shrink, s.tile_sum, s.l)), _vector(s.acc)]
        for i, s in enumerate(data.steps[: data.step], 1)
    ]
    scores = "  |  ".join(" ".join(map(short, data.scores[s.start : s.stop])) for s in data.steps)
    head = [f"{len(data.scores)} scores in tiles of {data.block}: {scores}"]
    table = figures.text_table(names, rows) if rows else ["nothing read yet: m = -inf, l = 0, acc = 0"]
    return "\n".join([*head, *table, *_story(data)])


def _story(data: SoftmaxWalk) -> list[str]:
    step, answer = data.current, _vector(data.answer)
    if step is None:
        return [f"the answer to reach, softmax of the row times the values: {answer}"]
    lines = [f"tile {data.step} of {len(data.steps)}: {_what_happened(step)}"]
    if any(0 < s.shrink < 1 for s in data.steps[: data.step]):
        lines.append(
            f"had the past never been shrunk, l would now be {short(data.l_never_shrunk)}, not {short(step.l)}"
        )
    last = data.step == len(data.steps)
    goal = "the whole row's softmax times the values" if last else "the answer once all is read"
    return [*lines, f"out = acc / l = {_vector(step.out)}; {goal}: {answer}"]


def _what_happened(step: TileStep) -> str:
    if step.m == -INF:
        return "every key masked; m stays -inf and is replaced by 0 before subtracting, so nothing becomes NaN"
    if step.m_before == -INF:
        return f"the first scores seen; m = {short(step.m)}"
    if step.shrink == 1:
        return f"no larger score, m stays {short(step.m)}; l and acc only grow"
    factor = f"exp({short(step.m_before)} - {short(step.m)}) = {short(step.shrink)}"
    return f"m rises from {short(step.m_before)} to {short(step.m)}, so the old l and acc shrink by {factor}"


def _vector(numbers: Sequence[float]) -> str:
    return f"({', '.join(map(short, numbers))})"


def _values(values: Sequence[Sequence[float]] | None, length: int) -> tuple[tuple[float, ...], ...]:
    if values is None:
        return tuple((key / 10, 1.0 if key % 2 == 0 else -1.0) for key in range(length))
    table = tuple(_numbers(f"values[{key}]", row, at_most=MAX_WIDTH, masked=False) for key, row in enumerate(values))
    if len(table) != length or len(set(map(len, table))) != 1:
        numbers = f"{len(table)} rows of lengths {sorted(set(map(len, table)))} for {length} scores"
        raise InvalidValue(rule_numbers_remedy("values must be one row a score, all equally long", numbers, "pad them"))
    return table


def _numbers(name: str, given: Sequence[float], *, at_most: int = MAX_SCORES, masked: bool = True) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, given))
    except (TypeError, ValueError):
        raise InvalidType(
            rule_numbers_remedy(f"{name} must be numbers", repr(given), "pass a list of floats")
        ) from None
    if not 1 <= len(numbers) <= at_most:
        raise InvalidValue(rule_numbers_remedy(f"{name} must be 1 to {at_most} numbers", str(len(numbers)), "cut it"))
    if not all(math.isfinite(number) or (masked and number == -INF) for number in numbers):
        rule = f"{name} must be finite" + (", or -inf for a masked key" if masked else "")
        raise InvalidValue(rule_numbers_remedy(rule, repr(numbers), "replace NaN and infinities"))
    return numbers
