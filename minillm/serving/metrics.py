"""What an engine knows about itself while it runs: who waits, how full the cache is, how long requests took.

The engine tells it three things: a request came, a step was made, a request ended. All else follows from the moments of
those, so a step costs a few dictionary look-ups for each text it wrote to. `text()` is what a monitoring system reads;
`finished` keeps the last requests' own times, for those who look closer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minillm.errors import unknown_name
from minillm.measure.numbers import require_whole
from minillm.serving.watching.instruments import Counter, Gauge, Histogram, Instrument, exposition
from minillm.serving.watching.request_times import RequestTimes

if TYPE_CHECKING:
    from minillm.serving.request import Request
    from minillm.serving.watching.trace import StepTrace


@dataclass
class _Life:
    """The moments of a request that is still being answered."""

    request: Request
    scheduled: float | None = None
    token_times: list[float] = field(default_factory=list)
    preempted: list[float] = field(default_factory=list)

    def times(self) -> RequestTimes:
        one = self.request
        return RequestTimes(
            one.arrival_time, self.scheduled, tuple(self.token_times), one.request_id, one.num_prompt_tokens,
            one.finish_reason, tuple(self.preempted),
        )  # fmt: skip


class EngineMetrics:
    """The instruments of one engine over a pool of `num_blocks` blocks, and the times of the `keep` last finished requests.

    Every moment is one of the engine's own clock: `arrival_time` of a request, `start` and `end` of a step. Trusts the
    engine: each request is added once before a step names it, and a step names those that ended in it.
    """

    def __init__(self, num_blocks: int, *, keep: int = 4096):
        require_whole(num_blocks=num_blocks, keep=keep)
        self.num_blocks, self.keep = num_blocks, keep
        self.finished: dict[str, RequestTimes] = {}
        self._lives: dict[str, _Life] = {}
        self.running = Gauge("num_requests_running", "Requests that are being computed.")
        self.waiting = Gauge("num_requests_waiting", "Requests that wait to be scheduled.")
        self.cache_usage = Gauge("kv_cache_usage_perc", "Share of the cache's blocks in use, 0 to 1.")
        self.prefix_queries = Counter("prefix_cache_queries", "Tokens of requests when first scheduled.")
        self.prefix_hits = Counter("prefix_cache_hits", "Of those, tokens found in the prefix cache.")
        self.preemptions = Counter("num_preemptions", "Times a request lost its blocks and began anew.")
        self.prompt_tokens = Counter("prompt_tokens", "Prompt tokens of requests that were handed a token.")
        self.generation_tokens = Counter("generation_tokens", "Tokens handed to requests.")
        self.success = Counter("request_success", "Requests that ended, by reason.", "finished_reason")
        self.ttft = Histogram("time_to_first_token_seconds", "Arrival to first token.")
        self.itl = Histogram("inter_token_latency_seconds", "Gap between successive messages of a request.")
        self.tpot = Histogram("request_time_per_output_token_seconds", "First to last token, a token after the first.")
        self.e2e = Histogram("e2e_request_latency_seconds", "Arrival to last token.")
        self.queue = Histogram("request_queue_time_seconds", "Arrival to first scheduling.")
        self.prefill = Histogram("request_prefill_time_seconds", "First scheduling to first token.")
        self.decode = Histogram("request_decode_time_seconds", "First to last token.")
        self.inference = Histogram("request_inference_time_seconds", "First scheduling to last token.")

    def add(self, request: Request) -> None:
        """A request came, at its `arrival_time`."""
        self._lives[request.request_id] = _Life(request)

    def observe(self, step: StepTrace, written: Mapping[str, Sequence[int]]) -> None:
        """A step was made, and it wrote these tokens to these requests; those in `step.finished` have their reason by now."""
        for request_id in step.admitted:
            self._first_scheduled(self._lives[request_id], step.start)
        for request_id in step.preempted:
            self._lives[request_id].preempted.append(step.start)
            self.preemptions.add()
        self._hand_over(written, step.end)
        self.running.set(step.num_running)
        self.waiting.set(step.num_waiting)
        self.cache_usage.set(1 - step.num_free_blocks / self.num_blocks)
        for request_id in step.finished:
            self.finish(request_id)

    def finish(self, request_id: str) -> RequestTimes:
        """A request ended, in a step or between two (aborted, say) -> its times. Its `finish_reason` is set by now."""
        times = self._lives.pop(request_id).times()
        self.success.add(1, times.finish_reason or "unknown")
        for name in ("tpot", "e2e", "queue", "prefill", "decode", "inference"):
            seconds = getattr(times, name)
            if seconds is not None:
                getattr(self, name).observe(seconds)
        self.finished.pop(request_id, None)
        self.finished[request_id] = times
        if len(self.finished) > self.keep:
            del self.finished[next(iter(self.finished))]
        return times

    def times(self, request_id: str) -> RequestTimes:
        """The times so far of a request that is live, or of one of the last to end. Raises InvalidValue for others."""
        if not isinstance(request_id, str):
            raise unknown_name("request", request_id, [*self._lives, *self.finished][-8:])
        if request_id in self._lives:
            return self._lives[request_id].times()
        if request_id not in self.finished:
            raise unknown_name("request", request_id, [*self._lives, *self.finished][-8:])
        return self.finished[request_id]

    @property
    def instruments(self) -> list[Instrument]:
        """All counters, gauges and histograms, in the order of their definition."""
        return [one for one in vars(self).values() if isinstance(one, Instrument)]

    def text(self) -> str:
        """Everything in Prometheus's exposition format."""
        return exposition(self.instruments)

    def __repr__(self) -> str:
        state = f"{self.running.value:.0f} running, {self.waiting.value:.0f} waiting, cache {self.cache_usage.value:.0%} used"
        done = f"{self.success.value:.0f} ended, {self.generation_tokens.value:.0f} tokens written"
        return f"EngineMetrics({state}; {done}, {self.preemptions.value:.0f} preemptions)"

    def _first_scheduled(self, life: _Life, moment: float) -> None:
        if life.scheduled is None:
            life.scheduled = moment
            self.prefix_queries.add(life.request.num_prompt_tokens)
            self.prefix_hits.add(life.request.num_cached_tokens)

    def _hand_over(self, written: Mapping[str, Sequence[int]], moment: float) -> None:
        """Tokens to requests, all in one message each."""
        gaps: dict[float, int] = {}  # most texts had their last message at one moment, so their gap is counted at once
        tokens = 0
        for request_id, ids in written.items():
            if not ids:
                continue
            life = self._lives[request_id]
            before = life.token_times[-1] if life.token_times else None
            life.token_times += [moment] * len(ids)
            tokens += len(ids)
            if before is None:
                self.prompt_tokens.add(life.request.num_prompt_tokens)
                self.ttft.observe(moment - life.request.arrival_time)
            elif moment > before:
                gaps[before] = gaps.get(before, 0) + 1
        for before, count in gaps.items():
            self.itl.observe(moment - before, count)
        self.generation_tokens.add(tokens)
