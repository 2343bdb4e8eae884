"""Many requests in a few numbers: the percentiles of their times, their rates, and how many got what was promised.

Servers are compared by percentiles, because a mean hides those who waited long, and by goodput: how many requests a second
were answered within every bound. The words mean what `vllm bench serve` means by them. No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_number, require_positive
from minillm.serving.watching.request_times import RequestTimes

ANSWERED = ("stop", "length")  # the finish reasons of a text that is whole


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
