"""How long does a step take? A few times measured on a grid, made into a formula for every step in between.

A step reads all weights once, multiplies them with each token, and reads the keys of every text. So its seconds are close
to a sum: so much for a step, so much a token, a text, a key. The coefficients are fitted to measured steps and never
negative, for no part of the work gives time back. What the formula gets wrong is reported with it. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import mul
from typing import NamedTuple

import numpy as np

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.measure.record import Measurement, Record, records

OPERATOR = "engine_step"
LETTERS = ("T", "rows", "B", "S", "pairs")  # what a record's shape calls the five numbers of a step's work
FEW = (16, 64, 256)  # up to so many tokens, another one costs less or more than later ones: the weights are read anyway


class StepWork(NamedTuple):
    """What one step computes: new tokens, rows of scores, texts, keys kept (each text's once), and pairs of query and key."""

    tokens: int
    rows: int
    texts: int
    keys: int
    pairs: int

    @classmethod
    def of(cls, shares: Iterable[tuple[int, int]], rows: int, padding: int = 0) -> StepWork:
        """Each text's (start, new tokens), how many rows are scored, and tokens of padding -> the work.

        Padding goes through every matrix like a token; that it attends to anything is not counted.
        """
        tokens = texts = keys = pairs = 0
        for start, count in shares:
            tokens, texts, keys = tokens + count, texts + 1, keys + start + count
            pairs += count * start + count * (count + 1) // 2
        return cls(tokens + padding, rows, texts, keys, pairs)


PARTS = (
    "a step",
    "a token",
    *(f"a token up to {few}" for few in FEW),
    *(f"a token beyond {few}" for few in FEW),
    "a row scored",
    "a text",
    "a key",
    "a query and key",
)


def amounts(work: StepWork) -> tuple[float, ...]:
    """How much a step has of each of PARTS."""
    tokens = work.tokens
    up_to, beyond = (min(tokens, few) for few in FEW), (max(0, tokens - few) for few in FEW)
    return (1.0, tokens, *up_to, *beyond, work.rows, work.texts, work.keys, work.pairs)


@dataclass(frozen=True)
class StepCost:
    """Seconds for each of PARTS, in their order, and whose they are: the model, the machine, the day."""

    source: str
    parts: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.parts) != len(PARTS) or not all(part >= 0 for part in self.parts) or not sum(self.parts) > 0:
            rule = f"a step's cost has {len(PARTS)} parts, none negative, not all 0"
            raise InvalidValue(rule_numbers_remedy(rule, repr(self.parts)[:60], "fit them to measured steps"))

    def seconds(self, work: StepWork) -> float:
        """How long a step with this work takes."""
        return sum(map(mul, self.parts, amounts(work)))

    def __str__(self) -> str:
        lines = [f"  {1e6 * cost:>11.3f} µs {name}" for name, cost in zip(PARTS, self.parts, strict=True) if cost]
        return "\n".join([self.source, *lines])


@dataclass(frozen=True)
class StepFit:
    """A formula beside the steps it was fitted to: seconds measured, seconds of the formula, relative errors.

    `held_out` are the errors of formulas fitted without the step they are asked about: what to expect of a step nobody timed.
    """

    cost: StepCost
    works: tuple[StepWork, ...]
    measured: tuple[float, ...]
    held_out: tuple[float, ...]

    @property
    def fitted(self) -> tuple[float, ...]:
        """Seconds of the formula for each step."""
        return tuple(self.cost.seconds(work) for work in self.works)

    @property
    def errors(self) -> tuple[float, ...]:
        """(formula - measured) / measured for each step."""
        return tuple(fitted / real - 1 for fitted, real in zip(self.fitted, self.measured, strict=True))

    def __str__(self) -> str:
        inside, outside = (np.abs(errors) for errors in (self.errors, self.held_out))
        first = f"{len(self.works)} steps: within {np.median(inside):.1%} of the formula in the median, {inside.max():.1%} at worst"
        return f"{first}; steps held out: {np.median(outside):.1%} and {outside.max():.1%}"


def fit_step_cost(steps: Sequence[tuple[StepWork, float]], source: str, *, folds: int = 5) -> StepFit:
    """Steps and their seconds -> the formula of the least squared relative error with no negative part, and its errors.

    Step i is held out with every `folds`-th. Raises InvalidValue for fewer steps than twice the parts, or seconds not above 0.
    """
    if len(steps) < 2 * len(PARTS) or not all(seconds > 0 for _, seconds in steps):
        rule, numbers = f"a fit needs {2 * len(PARTS)} steps of more than 0 s", f"{len(steps)} steps"
        raise InvalidValue(rule_numbers_remedy(rule, numbers, "measure more steps"))
    works, seconds = zip(*steps, strict=True)
    parts = np.array([amounts(work) for work in works])
    measured = np.array(seconds)
    held_out = np.empty(len(steps))
    for fold in range(folds):
        asked = np.arange(len(steps)) % folds == fold
        costs = _fit(parts[~asked], measured[~asked])
        held_out[asked] = parts[asked] @ costs / measured[asked] - 1
    cost = StepCost(source, tuple(_fit(parts, measured).tolist()))
    return StepFit(cost, tuple(works), tuple(map(float, seconds)), tuple(held_out.tolist()))


def recorded_step_costs(among: Sequence[Record] | None = None) -> dict[str, StepFit]:
    """The records that come along, or those given -> a fit for each model on each machine, by a name such as "llama 24M, ... ".

    Empty where no record has steps of an engine.
    """
    fits = {}
    for record in records() if among is None else among:
        groups: dict[str, list[tuple[StepWork, float]]] = {}
        for row in record.select(operator=OPERATOR):
            groups.setdefault(_words(row), []).append((work_of(row), row.p50))
        for words, steps in groups.items():
            if len(steps) >= 2 * len(PARTS):
                name = f"{words} on {record.device}"
                fits[name] = fit_step_cost(steps, f"{name}, {record.date[:10]}")
    return fits


def shape_of(work: StepWork) -> dict[str, int]:
    """A step's work as a record's row keeps it."""
    return {name: size for name, size in zip(LETTERS, work, strict=True) if size}


def work_of(row: Measurement) -> StepWork:
    """What `shape_of` wrote into a row."""
    return StepWork(*(row.shape.get(name, 0) for name in LETTERS))


def _words(row: Measurement) -> str:
    threads = row.options.get("threads")
    return f"{row.options['model']}, {row.dtype}" + (f", {threads} thread{'s' * (threads != 1)}" if threads else "")


def _fit(amounts: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """amounts (steps, parts) -> costs (parts,), none negative, of the least squares of (amounts @ costs / seconds - 1)."""
    scaled = amounts / seconds[:, None]
    sizes = np.linalg.norm(scaled, axis=0)
    sizes[sizes == 0] = 1.0
    return least_squares_not_negative(scaled / sizes, np.ones(len(seconds))) / sizes


def least_squares_not_negative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a (m, n), b (m,) -> x (n,) >= 0 of the least |a @ x - b|. After Lawson and Hanson 1974: free a part at a time."""
    free = np.zeros(a.shape[1], dtype=bool)
    x = np.zeros(a.shape[1])
    tolerance = 1e-10 * max(1.0, float(np.abs(a.T @ b).max()))
    for _ in range(10 * a.shape[1]):
        slope = np.where(free, -np.inf, a.T @ (b - a @ x))
        if slope.max() <= tolerance:
            break
        free[slope.argmax()] = True
        while True:
            best = np.zeros_like(x)
            best[free] = np.linalg.lstsq(a[:, free], b, rcond=None)[0]
            low = np.flatnonzero(free & (best <= 0))
            if not len(low):
                x = best
                break
            # Walk towards the best as far as nothing becomes negative, and fix what becomes 0 first.
            shares = x[low] / np.maximum(x[low] - best[low], 1e-300)
            x = np.maximum(x + shares.min() * (best - x), 0.0)
            fixed = low[shares == shares.min()]
            free[fixed], x[fixed] = False, 0.0
    return x
