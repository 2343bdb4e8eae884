"""How long a request took, told the way everybody tells it: queue, prefill, decode, TTFT, TPOT, ITL, E2E.

A request arrives, is scheduled for the first time, and is handed tokens until the last. All intervals are differences of
those moments, on one clock. Servers are compared by percentiles of them, and by goodput: how many requests a second were
answered within what was promised. The words mean what `vllm bench serve` means by them. No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_number, require_positive

ANSWERED = ("stop", "length")  # the finish reasons of a text that is whole


@dataclass(frozen=True)
class Phase:
    """A stretch of a request's life, in seconds of its clock."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class RequestTimes:
    """The moments of one request, in seconds of one monotonic clock; None, or an empty tuple, for what never came.

    `scheduled` is the first time it was scheduled, `token_times` has a moment for every token it was handed: tokens of the
    same moment came in one message. `preempted` are the moments it lost its cache; what that cost is part of its decoding.
    Raises InvalidType for what is no moment, InvalidValue when one lies before the one it must follow.
    """

    arrival: float
    scheduled: float | None = None
    token_times: tuple[float, ...] = ()
    request_id: str = ""
    num_prompt_tokens: int = 0
    finish_reason: str | None = None
    preempted: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.token_times, tuple | list):
            rule, remedy = "token_times must be a tuple", "pass a moment for each token"
            raise InvalidType(rule_numbers_remedy(rule, f"{self.token_times!r:.60}", remedy))
        moments = [self.arrival, *(() if self.scheduled is None else (self.scheduled,)), *self.token_times]
        for moment in moments:
            require_number(**{"a moment": moment})
        if not all(math.isfinite(moment) for moment in moments) or any(b < a for a, b in pairwise(moments)):
            rule = "arrival, first scheduling and tokens must follow each other"
            shown = ", ".join(f"{moment:.6g}" for moment in moments[:5])
            raise InvalidValue(rule_numbers_remedy(rule, shown, "read them from one monotonic clock"))
        if self.token_times and self.scheduled is None:
            numbers = f"{len(self.token_times)} tokens and no time of scheduling"
            raise InvalidValue(rule_numbers_remedy("a token comes from a step", numbers, "pass scheduled"))

    @property
    def num_output_tokens(self) -> int:
        """Tokens written."""
        return len(self.token_times)

    @property
    def queue(self) -> float | None:
        """Arrival until first scheduled."""
        return None if self.scheduled is None else self.scheduled - self.arrival

    @property
    def prefill(self) -> float | None:
        """First scheduled until the first token."""
        return self.token_times[0] - self.scheduled if self.token_times and self.scheduled is not None else None

    @property
    def decode(self) -> float | None:
        """First token until the last one: 0 for a text of one token."""
        return self.token_times[-1] - self.token_times[0] if self.token_times else None

    @property
    def inference(self) -> float | None:
        """First scheduled until the last token: prefill and decode."""
        return self.token_times[-1] - self.scheduled if self.token_times and self.scheduled is not None else None

    @property
    def ttft(self) -> float | None:
        """Time to first token, from arrival: what the user waits before anything appears."""
        return self.token_times[0] - self.arrival if self.token_times else None

    @property
    def e2e(self) -> float | None:
        """End to end: arrival until the last token."""
        return self.token_times[-1] - self.arrival if self.token_times else None

    @property
    def tpot(self) -> float | None:
        """Time per output token after the first: (E2E - TTFT) / (tokens - 1). A text of one token has none."""
        tokens = len(self.token_times)
        return (self.token_times[-1] - self.token_times[0]) / (tokens - 1) if tokens > 1 else None

    @property
    def itl(self) -> tuple[float, ...]:
        """Inter-token latencies: the gaps between successive messages. Their largest is the stutter that a reader feels."""
        return tuple(b - a for a, b in pairwise(self.token_times) if b > a)

    @property
    def timeline(self) -> tuple[Phase, ...]:
        """Queue, prefill and decode, each beginning where the one before ends, as far as the request came."""
        ends = (self.scheduled, self.token_times[0] if self.token_times else None, *self.token_times[-1:])
        phases, start = [], self.arrival
        for name, end in zip(("queue", "prefill", "decode"), ends, strict=False):
            if end is None:
                break
            phases.append(Phase(name, start, end))
            start = end
        return tuple(phases)


@dataclass(frozen=True)
class Slo:
    """What was promised to every request, in seconds; None promises nothing. Raises InvalidValue for what is not above 0."""

    ttft: float | None = None
    tpot: float | None = None
    e2e: float | None = None

    def __post_init__(self) -> None:
        require_positive(**{name: bound for name, bound in vars(self).items() if bound is not None})

    def met_by(self, times: RequestTimes) -> bool:
        """Whether a request was answered whole and within every bound; a text of one token meets any bound on TPOT."""
        if times.finish_reason not in ANSWERED or not times.token_times:
            return False
        pairs = ((times.ttft, self.ttft), (times.tpot, self.tpot), (times.e2e, self.e2e))
        return all(bound is None or took is None or took <= bound for took, bound in pairs)


def goodput(times: Iterable[RequestTimes], slo: Slo, duration: float) -> float:
    """Requests a second that met all of `slo`, over `duration` seconds of the whole run.

    Raises InvalidType for what are no RequestTimes or no Slo, InvalidValue for a duration not above 0.
    """
    require_positive(duration=duration)
    kept = _all_times(times)
    if not isinstance(slo, Slo):
        rule, remedy = "slo must be an Slo", "use Slo(ttft=..., tpot=...)"
        raise InvalidType(rule_numbers_remedy(rule, f"{slo!r:.60}", remedy))
    return sum(slo.met_by(one) for one in kept) / duration


def _all_times(times: Iterable[RequestTimes]) -> list[RequestTimes]:
    kept = _listed("times", "RequestTimes", times)
    wrong = next((one for one in kept if not isinstance(one, RequestTimes)), None)
    if wrong is not None:
        rule, remedy = "times must be RequestTimes", "use a run's `times`"
        raise InvalidType(rule_numbers_remedy(rule, f"{wrong!r:.60}", remedy))
    return kept


def _listed(name: str, of: str, values: Iterable[Any]) -> list[Any]:
    if not isinstance(values, Iterable):
        raise InvalidType(rule_numbers_remedy(f"{name} must be a list of {of}", f"{values!r:.60}", "pass a list"))
    return list(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value at place (n - 1) * percent / 100 of the n sorted values, counted from 0; between two places, on the line.

    So 0 is the smallest, 50 the median, 100 the largest: numpy's default. Raises InvalidType for what is no number,
    InvalidValue for no values, and for a percent outside 0 … 100.
    """
    require_number(percent=percent)
    kept = _listed("values", "numbers", values)
    for value in kept:
        require_number(**{"a value": value})
    if not 0 <= percent <= 100 or not kept:
        rule, numbers = "a percentile needs values and a percent in 0 … 100", f"{len(kept)} values and {percent}"
        raise InvalidValue(rule_numbers_remedy(rule, numbers, "use 50, 95 or 99, say"))
    ordered = sorted(kept)
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@dataclass(frozen=True)
class Percentiles:
    """Mean, percentiles and largest of some seconds."""

    mean: float
    p50: float
    p95: float
    p99: float
    largest: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Percentiles | None:
        """The percentiles of what is not None; None where nothing is left."""
        kept = [value for value in values if value is not None]
        if not kept:
            return None
        p50, p95, p99 = (percentile(kept, percent) for percent in (50, 95, 99))
        return cls(sum(kept) / len(kept), p50, p95, p99, max(kept))


@dataclass(frozen=True)
class Summary:
    """A run in numbers: intervals in seconds over its requests (ITL over all gaps of all requests), rates over `duration`."""

    requests: int
    duration: float
    ttft: Percentiles | None
    tpot: Percentiles | None
    itl: Percentiles | None
    e2e: Percentiles | None
    queue: Percentiles | None
    output_tokens_per_s: float
    requests_per_s: float
    goodput: float | None

    def __str__(self) -> str:
        def line(name: str, of: Percentiles | None) -> str:
            numbers = "none" if of is None else f"p50 {of.p50:.4g}, p95 {of.p95:.4g}, p99 {of.p99:.4g} s"
            return f"{name}: {numbers}"

        head = f"{self.requests} requests in {self.duration:.4g} s: {self.output_tokens_per_s:.4g} tokens/s"
        good = "" if self.goodput is None else f", goodput {self.goodput:.4g} requests/s"
        names = (("TTFT", self.ttft), ("TPOT", self.tpot), ("ITL", self.itl), ("E2E", self.e2e))
        return "\n".join([head + good, *(line(*pair) for pair in names)])


def summarise(times: Iterable[RequestTimes], duration: float, slo: Slo | None = None) -> Summary:
    """Finished requests and the seconds the whole run took -> Summary. Aborted ones count for what they were handed.

    Raises what `goodput` raises.
    """
    require_positive(duration=duration)
    kept = _all_times(times)
    return Summary(
        requests=len(kept),
        duration=duration,
        ttft=Percentiles.of(one.ttft for one in kept),
        tpot=Percentiles.of(one.tpot for one in kept),
        itl=Percentiles.of(gap for one in kept for gap in one.itl),
        e2e=Percentiles.of(one.e2e for one in kept),
        queue=Percentiles.of(one.queue for one in kept),
        output_tokens_per_s=sum(one.num_output_tokens for one in kept) / duration,
        requests_per_s=sum(one.finish_reason in ANSWERED for one in kept) / duration,
        goodput=None if slo is None else goodput(kept, slo, duration),
    )
