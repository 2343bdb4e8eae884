"""What request times, instruments and an engine's metrics must say, each promise a check with its numbers worked out by hand.

`CHECKS` maps a promise to a function of a house: the names of the three modules, whole or with a wrong line planted.
"""

import math
from types import SimpleNamespace

import numpy as np

from minillm.errors import InvalidType, InvalidValue

CHECKS = {}


def promise(check):
    CHECKS[check.__name__] = check
    return check


def one(house, **changes):
    """Arrives at 1, scheduled at 1.5; a token at 2, two at 2.25 in one message, one at 3."""
    moments = dict(arrival=1.0, scheduled=1.5, token_times=(2.0, 2.25, 2.25, 3.0), finish_reason="stop")
    return house.RequestTimes(**moments | changes)


def refused(call, kind=InvalidValue):
    try:
        call()
    except kind:
        return
    raise AssertionError("nothing was refused")


@promise
def waiting_is_told_apart_from_reading(house):
    times = one(house)
    assert (times.queue, times.prefill, times.inference) == (0.5, 0.5, 1.5)


@promise
def the_first_token_is_waited_for_from_arrival(house):
    assert one(house).ttft == 1.0 and one(house, arrival=0.0).ttft == 2.0
    assert one(house, scheduled=2.0).ttft == 1.0


@promise
def end_to_end_is_from_arrival_to_the_last_token(house):
    assert one(house).e2e == 2.0 and one(house).decode == 1.0


@promise
def time_per_output_token_leaves_out_the_first(house):
    assert one(house).tpot == 1 / 3
    assert one(house, token_times=(2.0,)).tpot is None
    assert one(house, token_times=(2.0, 4.0)).tpot == 2.0


@promise
def gaps_are_between_messages(house):
    assert one(house).itl == (0.25, 0.75) and one(house, token_times=(2.0,)).itl == ()


@promise
def what_never_came_is_none(house):
    waiting = one(house, scheduled=None, token_times=(), finish_reason="abort")
    names = ("queue", "prefill", "decode", "inference", "ttft", "e2e", "tpot")
    assert all(getattr(waiting, name) is None for name in names) and waiting.itl == ()
    reading = one(house, token_times=())
    assert reading.queue == 0.5 and reading.prefill is None
    assert [phase.name for phase in reading.timeline] == ["queue"] and waiting.timeline == ()


@promise
def phases_follow_each_other(house):
    phases = [(phase.name, phase.start, phase.end) for phase in one(house).timeline]
    assert phases == [("queue", 1.0, 1.5), ("prefill", 1.5, 2.0), ("decode", 2.0, 3.0)]


@promise
def moments_out_of_order_are_refused(house):
    refused(lambda: one(house, scheduled=0.5))
    refused(lambda: one(house, token_times=(2.0, 1.9)))
    refused(lambda: one(house, scheduled=2.5))
    refused(lambda: one(house, arrival=math.nan))
    refused(lambda: one(house, scheduled=None))
    for wrong in (
        dict(arrival="a"),
        dict(arrival=True),
        dict(scheduled="b"),
        dict(token_times=("c",)),
        dict(token_times=5),
    ):
        refused(lambda wrong=wrong: one(house, **wrong), InvalidType)


@promise
def percentiles_are_numpys(house):
    draw = np.random.default_rng(0)
    for size in (1, 2, 3, 10, 101):
        values = draw.exponential(size=size).tolist()
        for percent in (0, 1, 25, 50, 95, 99, 99.9, 100):
            assert math.isclose(house.percentile(values, percent), np.percentile(values, percent), rel_tol=1e-12)
    assert house.percentile([4, 1, 3, 2], 50) == 2.5 and house.percentile([1, 2, 3, 4], 95) == 3.85


@promise
def odd_percentiles_are_refused(house):
    refused(lambda: house.percentile([], 50))
    refused(lambda: house.percentile([1.0], 101))
    refused(lambda: house.percentile([1.0], -1))
    refused(lambda: house.percentile([1.0], "50"), InvalidType)
    for values in (["a"], [None, 1.0], 5):
        refused(lambda values=values: house.percentile(values, 50), InvalidType)


@promise
def goodput_counts_whole_requests_that_met_everything(house):
    requests = [
        one(house),  # TTFT 1, TPOT 1/3, E2E 2
        one(house, token_times=(2.0,), finish_reason="length"),  # TTFT 1, no TPOT
        one(house, token_times=(2.0, 4.0)),  # TPOT 2
        one(house, finish_reason="abort"),
        one(house, finish_reason="error"),
        one(house, scheduled=None, token_times=(), finish_reason="abort"),
    ]
    of = {
        3: house.Slo(), 2: house.Slo(ttft=1.0, tpot=0.5), 0: house.Slo(ttft=0.9), 1: house.Slo(e2e=1.5),
    }  # fmt: skip
    for met, slo in of.items():
        assert house.goodput(requests, slo, 4.0) == met / 4
    assert house.goodput(requests, house.Slo(ttft=1.0, tpot=1.0, e2e=1.0), 0.5) == 2.0
    refused(lambda: house.Slo(ttft=0.0))
    refused(lambda: house.goodput(requests, house.Slo(), 0.0))


@promise
def a_run_is_summed_up(house):
    requests = [one(house), one(house, token_times=(2.0, 4.0)), one(house, token_times=(), finish_reason="abort")]
    summary = house.summarise(requests, 4.0, house.Slo(tpot=1.0))
    assert (summary.requests, summary.output_tokens_per_s, summary.requests_per_s) == (3, 1.5, 0.5)
    assert summary.goodput == 0.25 and summary.itl.largest == 2.0 and summary.itl.p50 == 0.75
    assert summary.tpot.mean == (1 / 3 + 2.0) / 2 and summary.e2e.p50 == 2.5
    assert house.summarise(requests[2:], 1.0).ttft is None
    text = str(summary)
    assert "3 requests in 4 s: 1.5 tokens/s, goodput 0.25 requests/s" in text and "ITL: p50 0.75" in text


@promise
def counters_only_rise(house):
    counter = house.Counter("things", "Things.")
    counter.add()
    counter.add(2.5)
    assert counter.value == 3.5
    for amount in (-1, math.nan, math.inf):
        refused(lambda amount=amount: counter.add(amount))
    for amount in ("a", None, True):
        refused(lambda amount=amount: counter.add(amount), InvalidType)
    assert counter.value == 3.5


@promise
def instruments_take_numbers(house):
    gauge, sizes = house.Gauge("usage", "Usage."), house.Histogram("sizes", "Sizes.", (1, 2))
    for call in (gauge.set, sizes.observe, lambda bound: house.Histogram("sizes", "Sizes.", (0, bound))):
        refused(lambda call=call: call("a"), InvalidType)
    assert (gauge.value, sizes.count) == (0, 0)


@promise
def runs_are_of_request_times(house):
    for call in (
        lambda: house.goodput(5, house.Slo(), 1.0), lambda: house.goodput(["a"], house.Slo(), 1.0),
        lambda: house.goodput([one(house)], 5, 1.0), lambda: house.summarise(5, 1.0), lambda: house.summarise([1.0], 1.0),
        lambda: house.summarise([one(house)], 1.0, slo=5), lambda: house.goodput([], house.Slo(), "1"),
    ):  # fmt: skip
        refused(call, InvalidType)


@promise
def histograms_count_up_to_and_with_each_bound(house):
    histogram = house.Histogram("gaps", "Gaps.", (1, 2, 4))
    for value, times in ((0.5, 1), (1, 2), (2.5, 1), (9, 1)):
        histogram.observe(value, times)
    lines = house.exposition([histogram]).splitlines()
    assert lines == [
        "# HELP minillm:gaps Gaps.", "# TYPE minillm:gaps histogram",
        'minillm:gaps_bucket{le="1"} 3', 'minillm:gaps_bucket{le="2"} 3', 'minillm:gaps_bucket{le="4"} 4',
        'minillm:gaps_bucket{le="+Inf"} 5', "minillm:gaps_sum 14", "minillm:gaps_count 5",
    ]  # fmt: skip
    refused(lambda: histogram.observe(-0.1))
    refused(lambda: histogram.observe(math.nan))
    refused(lambda: house.Histogram("gaps", "Gaps.", (1, 1)))
    refused(lambda: house.Histogram("gaps", "Gaps.", ()))


@promise
def labels_are_written_as_prometheus_reads_them(house):
    counter, gauge = house.Counter("ends", "Ends.", "reason"), house.Gauge("usage", "Usage.")
    counter.add(2, "stop")
    counter.add(1, 'a "b"\\\n')
    gauge.set(0.25)
    text = house.exposition([counter, gauge])
    assert text.endswith("\n") and text.splitlines() == [
        "# HELP minillm:ends_total Ends.", "# TYPE minillm:ends_total counter",
        'minillm:ends_total{reason="a \\"b\\"\\\\\\n"} 1', 'minillm:ends_total{reason="stop"} 2',
        "# HELP minillm:usage Usage.", "# TYPE minillm:usage gauge", "minillm:usage 0.25",
    ]  # fmt: skip


def request(request_id, arrival, prompt, cached=0):
    return SimpleNamespace(
        request_id=request_id, arrival_time=arrival, num_prompt_tokens=prompt, num_cached_tokens=cached,
        finish_reason=None,
    )  # fmt: skip


def step(start, end, *, admitted=(), preempted=(), finished=(), running=0, waiting=0, free=10):
    return SimpleNamespace(
        start=start, end=end, admitted=admitted, preempted=preempted, finished=finished, num_running=running,
        num_waiting=waiting, num_free_blocks=free,
    )  # fmt: skip


def a_day(house, **options):
    """a: 8 tokens at 0, 4 of them found; b: 6 at 0.5, preempted once. Three steps of 1 s from 1 on, b aborted later."""
    metrics = house.EngineMetrics(16, **options)
    a, b = request("a", 0.0, 8, 4), request("b", 0.5, 6)
    metrics.add(a)
    metrics.add(b)
    metrics.observe(step(1.0, 2.0, admitted=("a", "b"), running=2, free=4), {"a": (5,), "b": ()})
    metrics.observe(step(2.0, 3.0, preempted=("b",), running=1, waiting=1, free=8), {"a": (5, 6)})
    a.finish_reason = "stop"
    metrics.observe(step(3.0, 4.0, admitted=("b",), finished=("a",), running=1, free=12), {"a": (7,), "b": (1,)})
    return metrics, b


@promise
def an_engine_tells_the_times_of_its_requests(house):
    metrics, b = a_day(house)
    a = metrics.times("a")
    assert (a.arrival, a.scheduled, a.token_times) == (0.0, 1.0, (2.0, 3.0, 3.0, 4.0))
    assert (a.ttft, a.tpot, a.finish_reason, a.num_prompt_tokens) == (2.0, 2 / 3, "stop", 8)
    live = metrics.times("b")
    assert (live.scheduled, live.token_times, live.preempted, live.finish_reason) == (1.0, (4.0,), (2.0,), None)
    b.finish_reason = "abort"
    assert metrics.finish("b").finish_reason == "abort" and list(metrics.finished) == ["a", "b"]
    refused(lambda: metrics.times("c"))


@promise
def an_engine_counts_tokens_and_ends(house):
    metrics, b = a_day(house)
    assert metrics.generation_tokens.value == 5 and metrics.prompt_tokens.value == 14
    assert (metrics.prefix_queries.value, metrics.prefix_hits.value) == (14, 4)
    assert metrics.preemptions.value == 1 and metrics.success.values == {"stop": 1}
    b.finish_reason = "abort"
    metrics.finish("b")
    assert metrics.success.values == {"stop": 1, "abort": 1}


@promise
def gauges_show_the_last_step(house):
    metrics, _ = a_day(house)
    assert (metrics.running.value, metrics.waiting.value, metrics.cache_usage.value) == (1, 0, 0.25)
    assert repr(metrics).startswith("EngineMetrics(1 running, 0 waiting, cache 25% used; 1 ended, 5 tokens written")


@promise
def histograms_hold_what_the_requests_say(house):
    metrics, b = a_day(house)
    b.finish_reason = "length"
    done = [metrics.times("a"), metrics.finish("b")]
    for name in ("ttft", "tpot", "e2e", "queue", "prefill", "decode", "inference"):
        values = [getattr(times, name) for times in done if getattr(times, name) is not None]
        histogram = getattr(metrics, name)
        assert (histogram.count, histogram.sum) == (len(values), sum(values)), name
    gaps = [gap for times in done for gap in times.itl]
    assert (metrics.itl.count, metrics.itl.sum) == (len(gaps), sum(gaps))


@promise
def finished_requests_are_kept_up_to_a_number(house):
    metrics = house.EngineMetrics(4, keep=2)
    for name in "abcb":
        metrics.add(request(name, 0.0, 1))
        metrics.observe(step(0.0, 1.0, admitted=(name,), finished=(name,)), {name: (1,)})
    assert list(metrics.finished) == ["c", "b"] and metrics.success.value == 4
    refused(lambda: house.EngineMetrics(0))
    refused(lambda: house.EngineMetrics(4, keep=0))


@promise
def names_are_the_fields_own(house):
    metrics, _ = a_day(house)
    names = {line.split()[2] for line in metrics.text().splitlines() if line.startswith("# TYPE")}
    wanted = """num_requests_running num_requests_waiting kv_cache_usage_perc prefix_cache_queries_total
    prefix_cache_hits_total prompt_tokens_total generation_tokens_total request_success_total time_to_first_token_seconds
    inter_token_latency_seconds e2e_request_latency_seconds request_queue_time_seconds request_prefill_time_seconds
    request_decode_time_seconds request_inference_time_seconds num_preemptions_total
    request_time_per_output_token_seconds"""
    assert names == {f"minillm:{name}" for name in wanted.split()}
    assert 'minillm:request_success_total{finished_reason="stop"} 1' in metrics.text().splitlines()
