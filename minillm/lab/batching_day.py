"""A day at a server that batches, on a virtual clock: who came when, who left in which batch, and how long each waited.

The model is a price list: so much for a pass, and so much more for each row in it. So a day takes milliseconds to play, is the
same on every machine, and holds no secret about the clock of the one who plays it. Times are microseconds.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_positive, require_whole

SECOND = 1_000_000


@dataclass(frozen=True)
class PassCost:
    """What a pass over some rows takes: `fixed_us` however many there are, and `row_us` for each."""

    fixed_us: float
    row_us: float

    def __call__(self, rows: int) -> float:
        return self.fixed_us + self.row_us * rows

    def rows_per_second(self, rows: int) -> float:
        """How many rows a second one server computes in batches of this size, one after the other."""
        return rows * SECOND / self(rows)


@dataclass
class Served:
    """One request: when it came, left in a batch, and was answered; None for what never happened."""

    number: int
    arrived: float
    started: float | None = None
    answered: float | None = None
    batch: int | None = None
    refused: bool = False

    @property
    def latency(self) -> float:
        """From arrival to answer; only of requests that were answered."""
        assert self.answered is not None
        return self.answered - self.arrived


@dataclass(frozen=True)
class Sent:
    """One batch: which requests, run as how many rows, on which instance, from when to when."""

    number: int
    requests: tuple[int, ...]
    rows: int
    instance: int
    started: float
    ended: float


@dataclass(frozen=True)
class BatchingDay:
    """All requests and all batches of a day."""

    requests: tuple[Served, ...]
    batches: tuple[Sent, ...]
    instances: int = 1
    latencies: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        latencies = sorted(one.latency for one in self.requests if one.answered is not None)
        object.__setattr__(self, "latencies", tuple(latencies))

    @property
    def unanswered(self) -> list[int]:
        """The numbers of those who never got an answer."""
        return [one.number for one in self.requests if one.answered is None]

    @property
    def mean_batch(self) -> float:
        """Requests a batch, on average."""
        return sum(len(sent.requests) for sent in self.batches) / len(self.batches) if self.batches else 0.0

    @property
    def padding(self) -> float:
        """The share of computed rows that nobody asked for."""
        rows = sum(sent.rows for sent in self.batches)
        return 1 - sum(len(sent.requests) for sent in self.batches) / rows if rows else 0.0

    @property
    def busy(self) -> float:
        """The share of the instances' time, up to the last answer, in which they computed."""
        end = max((sent.ended for sent in self.batches), default=0)
        return sum(sent.ended - sent.started for sent in self.batches) / (end * self.instances) if end else 0.0

    def percentile(self, share: float) -> float:
        """The latency that `share` of 100 answered requests did not exceed, in milliseconds; nearest rank."""
        if not self.latencies:
            raise InvalidValue("a percentile needs an answer; got none; play a longer day.")
        rank = max(1, -(-len(self.latencies) * share // 100))
        return self.latencies[int(rank) - 1] / 1000


def poisson_arrivals(rate: float, count: int, *, seed: int = 12) -> list[int]:
    """`count` arrivals in µs, `rate` a second on average, none knowing of another: gaps are exponentially distributed."""
    require_positive(rate=rate)
    require_whole(count=count)
    draw, now, times = random.Random(seed), 0.0, []
    for _ in range(count):
        now += draw.expovariate(rate) * SECOND
        times.append(round(now))
    return times


def play(
    batcher: Any,
    arrivals: Sequence[float],
    cost: Callable[[int], float],
    *,
    instances: int = 1,
    options: Callable[[int], Mapping[str, Any]] = lambda number: {},
) -> BatchingDay:
    """A batcher, arrival times, µs a pass of so many rows -> the day, when nothing more will happen by itself.

    `batcher` has submit(number, now, **options), poll(now) -> a batch, the time to ask again or None, and
    complete(batch, now, results); a batch is a list of numbers or a `Batch`. A ValueError of submit refuses a request. Raises
    InvalidValue for a batch that no instance is free for, and for a time to ask again that has passed.
    """
    return _Server(batcher, cost, instances, options).serve(deque(arrivals))


class _Server:
    """The instances, and the clock that jumps from event to event."""

    def __init__(self, batcher: Any, cost: Callable[[int], float], instances: int, options: Callable) -> None:
        self.batcher, self.cost, self.instances, self.options = batcher, cost, instances, options
        self.busy: dict[int, tuple[float, Any]] = {}
        self.requests: list[Served] = []
        self.sent: list[Sent] = []

    def serve(self, coming: deque[float]) -> BatchingDay:
        wake: float | None = None
        while events := [
            *([coming[0]] if coming else []),
            *(end for end, _ in self.busy.values()),
            *([] if wake is None else [wake]),
        ]:
            now = min(events)
            self.finish(now)
            while coming and coming[0] <= now:
                self.arrive(coming.popleft())
            wake = self.send(now)
        return BatchingDay(tuple(self.requests), tuple(self.sent), self.instances)

    def finish(self, now: float) -> None:
        for instance, (end, batch) in sorted(self.busy.items()):
            if end <= now:
                del self.busy[instance]
                numbers = list(_numbers(batch))
                for number in numbers:
                    self.requests[number].answered = now
                self.batcher.complete(batch, now, numbers)

    def arrive(self, now: float) -> None:
        one = Served(len(self.requests), now)
        self.requests.append(one)
        try:
            self.batcher.submit(one.number, now, **self.options(one.number))
        except ValueError:
            one.refused = True

    def send(self, now: float) -> float | None:
        """Ask until there is no more to send -> when to ask again."""
        while True:
            answer = self.batcher.poll(now)
            if answer is None:
                return None
            if isinstance(answer, int | float):
                if answer <= now:
                    raise InvalidValue(rule_numbers_remedy("the time to ask again lies ahead", f"{answer} at {now}", "send, or name a later one"))  # fmt: skip
                return answer
            self.start(answer, now)

    def start(self, batch: Any, now: float) -> None:
        free = [instance for instance in range(self.instances) if instance not in self.busy]
        if not free:
            rule = f"a batch leaves only when one of {self.instances} instances is free"
            raise InvalidValue(rule_numbers_remedy(rule, f"one more at {now}", "wait until complete is called"))
        numbers = tuple(_numbers(batch))
        rows = getattr(batch, "padded_size", len(numbers))
        end = now + self.cost(rows)
        self.busy[free[0]] = end, batch
        for number in numbers:
            self.requests[number].started, self.requests[number].batch = now, len(self.sent)
        self.sent.append(Sent(len(self.sent), numbers, rows, free[0], now, end))


def _numbers(batch: Any) -> Iterator[int]:
    return iter(getattr(batch, "payloads", batch))
