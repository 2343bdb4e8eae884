"""One timer for the whole workbook, and a fair way to race two implementations.

A single wall-clock reading is luck. `time_call` repeats a call until its median settles and shows the spread;
`compare_calls` lets contestants take turns, so a machine that slows down slows all of them and their ratio survives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.benchmark import Timer

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_positive, require_whole

Call = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds per call at the 20th, 50th and 80th percentile of `blocks` timed blocks, `runs` calls in all."""

    label: str
    p20: float
    p50: float
    p80: float
    blocks: int
    runs: int

    def __str__(self) -> str:
        name = f"{self.label}: " if self.label else ""
        return f"{name}{_seconds(self.p50)} (p20 {_seconds(self.p20)}, p80 {_seconds(self.p80)}; {self.runs} runs)"


@dataclass(frozen=True)
class Ratio:
    """How long a contestant takes relative to the baseline in the same round: below 1 is faster. Percentiles of rounds."""

    p20: float
    p50: float
    p80: float

    def __str__(self) -> str:
        return f"{self.p50:.2f}× (p20 {self.p20:.2f}, p80 {self.p80:.2f})"


@dataclass(frozen=True)
class Comparison:
    """Timings in seconds by contestant, and each one's time as a ratio to the `baseline`'s, paired round by round."""

    baseline: str
    timings: Mapping[str, Timing]
    ratios: Mapping[str, Ratio]

    def __str__(self) -> str:
        return "\n".join(f"{timing}  {self.ratios[name]} {self.baseline}" for name, timing in self.timings.items())


def time_call(call: Call, *, min_seconds: float = 0.2, label: str = "") -> Timing:
    """A call without arguments -> Timing in seconds per call, from at least `min_seconds` of running it.

    Runs on `torch.utils.benchmark`: blocks large enough to hide the clock, a GPU synchronised around each, and torch's
    present number of threads. Raises InvalidType for what cannot be called and InvalidValue for a time not above zero.
    """
    require_positive(min_seconds=min_seconds)
    measured = _timer(call, label).blocked_autorange(min_run_time=min_seconds)
    return timing_of(label, measured.times, measured.number_per_run)


def compare_calls(calls: Mapping[str, Call], *, min_seconds: float = 0.2, rounds: int = 10) -> Comparison:
    """Contestants by name -> Comparison, the first being the baseline. Each runs `rounds` blocks, in turn: A B A B.

    Every contestant gets about `min_seconds` in all. Raises InvalidValue for fewer than two contestants or rounds.
    """
    require_positive(min_seconds=min_seconds)
    require_whole(rounds=rounds)
    if len(calls) < 2 or rounds < 2:
        raise InvalidValue(
            rule_numbers_remedy(
                "a comparison needs two contestants and two rounds",
                f"{len(calls)} contestants and {rounds} rounds",
                "for one contestant use time_call",
            )
        )
    timers = {name: _timer(call, name) for name, call in calls.items()}
    repeats = {name: _repeats(timer, min_seconds / rounds) for name, timer in timers.items()}
    times: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            times[name].append(timer.timeit(repeats[name]).median)
    baseline = next(iter(timers))
    timings = {name: timing_of(name, times[name], repeats[name]) for name in timers}
    ratios = {name: Ratio(*_percentiles(np.divide(times[name], times[baseline]))) for name in timers}
    return Comparison(baseline, timings, ratios)


def _timer(call: Call, label: str) -> Timer:
    if not callable(call):
        name = label or "call"
        raise InvalidType(rule_numbers_remedy(f"{name} must be callable", repr(call), "wrap it: lambda: f(x)"))
    return Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())


def _repeats(timer: Timer, seconds: float) -> int:
    # The first timing warms caches and compilers up; the second one decides.
    timer.timeit(1)
    return max(1, round(seconds / max(timer.timeit(1).median, 1e-9)))


def timing_of(label: str, times: Sequence[float], runs_per_block: int) -> Timing:
    """Seconds per call of each timed block -> their percentiles."""
    return Timing(label, *_percentiles(times), blocks=len(times), runs=len(times) * runs_per_block)


def _percentiles(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    p20, p50, p80 = np.quantile(values, (0.2, 0.5, 0.8))
    return float(p20), float(p50), float(p80)


def _seconds(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
