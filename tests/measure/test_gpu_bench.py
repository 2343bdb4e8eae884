"""Racing on a GPU, with a clock that pretends: turns are taken, short calls go through a graph, and percentiles are per call."""

import pytest
import torch

from minillm.errors import InvalidValue
from minillm.measure import compare_on_gpu, gpu_bench


class PretendClock:
    """Every call takes what its attribute says; ordering one takes `launch` on top, unless it was captured."""

    def __init__(self, launch=0.0):
        self.launch, self.ran, self.captured = launch, [], []

    def seconds(self, calls):
        self.ran += [call() for call in calls]
        return [call.busy + self.launch for call in calls]

    def capture(self, calls):
        self.captured.append([call() for call in calls])
        return pretend("graph", sum(call.busy for call in calls))


def pretend(name, busy):
    def call():
        return name

    call.busy = busy
    return call


def test_a_long_call_is_timed_one_by_one():
    clock = PretendClock()
    timing = compare_on_gpu({"a": [pretend("a", 0.002)]}, min_seconds=0.02, rounds=2, clock=clock)["a"]
    assert (timing.label, timing.p20, timing.p50, timing.p80) == ("a", 0.002, 0.002, 0.002)
    assert timing.runs == timing.blocks == 10 and clock.captured == []


def test_a_short_call_is_captured_so_that_ordering_it_does_not_count():
    clock = PretendClock(launch=40e-6)
    timing = compare_on_gpu({"a": [pretend("a", 10e-6)]}, min_seconds=0.02, rounds=2, clock=clock)["a"]
    [captured] = clock.captured
    assert len(captured) * 50e-6 >= gpu_bench.GRAPH_SECONDS  # long enough that the one order hardly counts
    assert timing.p50 == pytest.approx(10e-6 + 40e-6 / len(captured))
    assert timing.runs == timing.blocks * len(captured)


def test_copies_take_turns_in_and_out_of_graphs():
    clock = PretendClock()
    compare_on_gpu({"a": [pretend(i, 0.001) for i in range(3)]}, min_seconds=0.006, rounds=1, clock=clock)
    assert clock.ran[-6:] == [0, 1, 2, 0, 1, 2]
    compare_on_gpu({"a": [pretend(i, 1e-6) for i in range(3)]}, min_seconds=0.02, rounds=1, clock=clock)
    [captured] = clock.captured
    assert captured[:4] == [0, 1, 2, 0] and captured[-1] == 2


def test_contestants_take_turns():
    clock = PretendClock()
    compare_on_gpu({n: [pretend(n, 0.01)] for n in "ab"}, min_seconds=0.04, rounds=4, clock=clock)
    assert "".join(clock.ran[-8:]) == "abababab"


@pytest.mark.parametrize(
    ("contestants", "options"),
    [
        ({}, {}),
        ({"a": []}, {}),
        ({"a": [pretend("a", 1)]}, {"min_seconds": 0}),
        ({"a": [pretend("a", 1)]}, {"rounds": 0}),
    ],
)
def test_a_race_that_cannot_be_run_is_refused(contestants, options):
    with pytest.raises(InvalidValue):
        compare_on_gpu(contestants, clock=PretendClock(), **options)


@pytest.mark.parametrize(("moved", "cache", "copies"), [(200, 100, 1), (199, 100, 3), (10, 100, 21), (1, 1000, 64)])
def test_copies_outlast_the_cache(moved, cache, copies):
    assert gpu_bench.copies_needed(moved, cache) == copies


def test_a_processor_has_no_cache_to_step_around():
    assert gpu_bench.cache_bytes("cpu") == 0 and gpu_bench.copies_needed(8, 0) == 1


class PretendEvent:
    """Stamps the moment in milliseconds that the pretended device has reached."""

    now = 0.0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.at = PretendEvent.now

    def elapsed_time(self, end):
        return end.at - self.at


def test_the_real_clock_reads_milliseconds_between_neighbouring_events(monkeypatch):
    def busy(milliseconds):
        def call():
            PretendEvent.now += milliseconds

        return call

    monkeypatch.setattr(torch.cuda, "Event", PretendEvent)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert gpu_bench.CudaClock().seconds([busy(1), busy(2), busy(4)]) == [0.001, 0.002, 0.004]


@pytest.mark.gpu
def test_the_real_clock_agrees_with_the_graph_and_sees_work_grow():
    small, large = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for n in (256, 4096))
    timings = compare_on_gpu({"small": [lambda: small @ small], "large": [lambda: large @ large]}, min_seconds=0.05)
    assert 1e-7 < timings["small"].p50 < 50e-6 < timings["large"].p50 < 1
