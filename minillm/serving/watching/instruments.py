"""Three instruments that a server is watched with: a counter only rises, a gauge is set, a histogram counts by size.

Prometheus asks a server for its numbers every few seconds and does the rest: rates, percentiles, alarms. So an instrument
keeps totals only, and costs the step that reads it next to nothing. The text they are told in is Prometheus's exposition
format, and the names are vLLM's with the prefix `minillm:`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_number

PREFIX = "minillm:"
# Seconds: 1, 2.5 and 5 in every decade from 0.1 ms to 100 s.
SECONDS = (*(float(f"{digit}e{power}") for power in range(-4, 2) for digit in ("1", "2.5", "5")), 100.0)


class Counter:
    """A total that never falls, or one for each value of `label`. Its name in the text ends in `_total`."""

    kind = "counter"

    def __init__(self, name: str, says: str, label: str | None = None):
        self.name, self.says, self.label = f"{PREFIX}{name}_total", says, label
        self.values: dict[str, float] = {} if label else {"": 0}

    def add(self, amount: float = 1, of: str = "") -> None:
        """Raise the total, `of` one value of the label.

        Raises InvalidType for what is no number, InvalidValue for a negative amount, or one not finite.
        """
        require_number(amount=amount)
        if not 0 <= amount < math.inf:
            raise InvalidValue(
                rule_numbers_remedy("a counter only rises", repr(amount), "use a gauge for what may fall")
            )
        self.values[of] = self.values.get(of, 0) + amount

    @property
    def value(self) -> float:
        """The total over all values of the label."""
        return sum(self.values.values())

    def samples(self) -> Iterable[tuple[str, float]]:
        for of, value in sorted(self.values.items()):
            yield (f'{self.name}{{{self.label}="{_escaped(of)}"}}' if self.label else self.name), value


class Gauge:
    """A number as it stands now."""

    kind = "gauge"

    def __init__(self, name: str, says: str):
        self.name, self.says, self.value = PREFIX + name, says, 0.0

    def set(self, value: float) -> None:
        """Raises InvalidType for what is no number."""
        require_number(value=value)
        self.value = value

    def samples(self) -> Iterable[tuple[str, float]]:
        yield self.name, self.value


class Histogram:
    """How many values were at most each bound of `buckets`, their number and their sum.

    Raises InvalidType for what is no number, InvalidValue for bounds that do not rise or are not finite, and for a value that
    is negative or not finite.
    """

    kind = "histogram"

    def __init__(self, name: str, says: str, buckets: Sequence[float] = SECONDS):
        self.name, self.says, self.buckets = PREFIX + name, says, tuple(buckets)
        for bound in self.buckets:
            require_number(**{"a bound": bound})
        rising = all(a < b for a, b in pairwise(self.buckets))
        if not self.buckets or not rising or not all(map(math.isfinite, self.buckets)):
            raise InvalidValue(rule_numbers_remedy("buckets must rise", repr(buckets)[:60], "sort them, each once"))
        self.counts = [0] * (len(self.buckets) + 1)  # the last for values above every bound
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, or the same value several times."""
        require_number(value=value)
        if not 0 <= value < math.inf:
            rule, remedy = "a value must be finite and not negative", "read durations from one monotonic clock"
            raise InvalidValue(rule_numbers_remedy(rule, repr(value), remedy))
        self.counts[bisect_left(self.buckets, value)] += times
        self.sum += value * times

    @property
    def count(self) -> int:
        """Values so far."""
        return sum(self.counts)

    def samples(self) -> Iterable[tuple[str, float]]:
        bounds = [*(f"{b:g}" if float(f"{b:g}") == b else repr(b) for b in self.buckets), "+Inf"]
        for bound, total in zip(bounds, accumulate(self.counts), strict=True):
            yield f'{self.name}_bucket{{le="{bound}"}}', total
        yield f"{self.name}_sum", self.sum
        yield f"{self.name}_count", self.count


Instrument = Counter | Gauge | Histogram


def exposition(instruments: Iterable[Instrument]) -> str:
    """Instruments -> the text Prometheus reads, version 0.0.4: what each is, then its samples, a line each."""
    lines = []
    for one in instruments:
        says = one.says.replace("\\", "\\\\").replace("\n", "\\n")
        lines += [f"# HELP {one.name} {says}", f"# TYPE {one.name} {one.kind}"]
        lines += [f"{name} {_number(value)}" for name, value in one.samples()]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
