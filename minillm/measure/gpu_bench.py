"""Timing on a GPU by its own clock: contestants take turns, and short calls are replayed from a graph.

A GPU works through a queue, so the processor's clock says when work was ordered, not when it was done; events in the
queue say the latter. Where a call is shorter than ordering it takes, many are recorded once as a graph and replayed with
one order. And a working set that fits the cache is spread over several copies, or the cache would be timed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from typing import Protocol

import torch

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.measure.bench import Timing, timing_of
from minillm.measure.numbers import require_positive, require_whole

Call = Callable[[], object]

# Ordering a kernel from Python takes up to some 50 µs, and a shorter call seems to take that long: so look from twice that.
LAUNCH_BOUND = 100e-6
GRAPH_SECONDS = 1e-3
MOST_COPIES = 64


class Clock(Protocol):
    """What the races below need of a device."""

    def seconds(self, calls: Sequence[Call]) -> list[float]:
        """Run the calls one after the other, and return how long the device was busy with each."""

    def capture(self, calls: Sequence[Call]) -> Call:
        """One call that does what the calls did when they were captured, ordered all at once."""


class CudaClock:
    """The clock of torch's present CUDA or ROCm device."""

    def seconds(self, calls: Sequence[Call]) -> list[float]:
        events = [torch.cuda.Event(enable_timing=True) for _ in range(len(calls) + 1)]
        calls[-1]()  # something to do while the first one is being ordered
        events[0].record()
        for call, done in zip(calls, events[1:], strict=True):
            call()
            done.record()
        torch.cuda.synchronize()
        return [start.elapsed_time(end) / 1e3 for start, end in pairwise(events)]

    def capture(self, calls: Sequence[Call]) -> Call:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for call in calls:  # libraries set themselves up on a stream's first use, which must not be captured
                call()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for call in calls:
                call()
        return graph.replay


@dataclass(frozen=True)
class Runner:
    """A contestant made ready: `laps` to run in turn, each `calls_per_lap` calls and about `lap_seconds` long.

    `kept` are the calls that a graph was captured from: the memory it reads is theirs.
    """

    laps: tuple[Call, ...]
    calls_per_lap: int
    lap_seconds: float
    kept: tuple[Call, ...]


def make_runner(calls: Sequence[Call], clock: Clock) -> Runner:
    """Equivalent calls on different memory -> a Runner that takes them in turn; compiles, warms up and may capture."""
    clock.seconds(calls)
    once = statistics.median(clock.seconds(_in_turn(calls, max(5, len(calls)))))
    if once >= LAUNCH_BOUND:
        return Runner(tuple(calls), 1, once, tuple(calls))
    rounds = math.ceil(GRAPH_SECONDS / max(once, 1e-6) / len(calls))
    taken = _in_turn(calls, rounds * len(calls))
    graph = clock.capture(taken)
    return Runner((graph,), len(taken), statistics.median(clock.seconds([graph] * 3)), tuple(calls))


def take_turns(
    runners: Mapping[str, Runner], clock: Clock, *, min_seconds: float = 0.1, rounds: int = 5
) -> dict[str, Timing]:
    """Runners by name -> Timing in seconds per call, A B A B for `rounds` rounds, about `min_seconds` for each in all."""
    require_positive(min_seconds=min_seconds)
    require_whole(rounds=rounds)
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, runner in runners.items():
            laps = min(1000, max(1, round(min_seconds / rounds / runner.lap_seconds)))
            times[name] += [s / runner.calls_per_lap for s in clock.seconds(_in_turn(runner.laps, laps))]
    return {name: timing_of(name, times[name], runner.calls_per_lap) for name, runner in runners.items()}


def compare_on_gpu(
    contestants: Mapping[str, Sequence[Call]],
    *,
    min_seconds: float = 0.1,
    rounds: int = 5,
    clock: Clock | None = None,
) -> dict[str, Timing]:
    """Equivalent calls on different memory, by contestant -> Timing in seconds per call, measured in turns.

    Raises InvalidValue for no contestant or one without a call, or a time or rounds not above zero.
    """
    if not contestants or not all(contestants.values()):
        numbers = f"{len(contestants)} contestants" if contestants else "none"
        raise InvalidValue(
            rule_numbers_remedy("each contestant needs a call, and there must be one", numbers, "pass {name: [call]}")
        )
    clock = clock or CudaClock()
    runners = {name: make_runner(calls, clock) for name, calls in contestants.items()}
    return take_turns(runners, clock, min_seconds=min_seconds, rounds=rounds)


def copies_needed(bytes_moved: int, cache_bytes: int) -> int:
    """How many copies of the operands must take turns so that none is still in the cache when its turn comes again."""
    require_positive(bytes_moved=bytes_moved)
    if bytes_moved >= 2 * cache_bytes:
        return 1
    return min(MOST_COPIES, math.ceil(2 * cache_bytes / bytes_moved) + 1)


def cache_bytes(device: str | torch.device) -> int:
    """Bytes of the L2 cache of a GPU; 0 for a processor, where the workbook times what its users see, caches and all."""
    if torch.device(device).type != "cuda":
        return 0
    return int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 64 << 20))


def _in_turn(calls: Sequence[Call], count: int) -> list[Call]:
    return list(islice(cycle(calls), count))
