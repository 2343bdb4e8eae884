"""Traces: the same for the same seed, as many and as fast as asked, as bunched as asked, and refused where they make no sense."""

import math
import statistics
from itertools import pairwise
from random import Random

import pytest

from minillm.errors import InvalidType, InvalidValue
from minillm.serving.workload import Arrival, Workload, bursty, long_prompt_intruder, poisson, shared_prefix

MAKERS = {
    "poisson": lambda seed: poisson(5.0, 30, seed=seed),
    "bursty": lambda seed: bursty(5.0, 30, seed=seed),
    "shared prefix": lambda seed: shared_prefix(5.0, 30, seed=seed),
    "intruder": lambda seed: long_prompt_intruder(seed=seed),
}


@pytest.mark.parametrize("maker", MAKERS.values(), ids=list(MAKERS))
def test_a_seed_is_a_trace(maker):
    assert maker(1) == maker(1) == maker(Random(1))
    assert maker(1) != maker(2)
    times = [one.time for one in maker(1).arrivals]
    assert times == sorted(times)


@pytest.mark.parametrize("burstiness", [0.05, 1.0, 20.0])
def test_n_requests_come_in_n_over_rate_seconds(burstiness):
    trace = bursty(4.0, 100, burstiness=burstiness)
    assert len(trace) == 100 and trace.arrivals[-1].time == pytest.approx(25.0)


def test_the_smaller_the_burstiness_the_less_even_the_gaps():
    """The gaps of a gamma process have a variation of 1 / sqrt(burstiness); of a Poisson process, 1."""

    def variation(burstiness):
        times = [one.time for one in bursty(1.0, 4000, burstiness=burstiness).arrivals]
        gaps = [b - a for a, b in pairwise(times)]
        return statistics.stdev(gaps) / statistics.mean(gaps)

    for burstiness in (0.1, 0.5, 1.0, 4.0):
        assert variation(burstiness) == pytest.approx(burstiness**-0.5, rel=0.1)
    assert [one.time for one in poisson(3.0, 20).arrivals] == [
        one.time for one in bursty(3.0, 20, burstiness=1.0).arrivals
    ]


def test_an_infinite_rate_lets_all_come_at_once():
    assert {one.time for one in poisson(math.inf, 10).arrivals} == {0.0}


def test_lengths_lie_in_their_bounds_and_reach_them():
    trace = poisson(5.0, 300, prompt=(3, 9), output=(2, 4))
    assert {one.num_prompt_tokens for one in trace.arrivals} == set(range(3, 10))
    assert {one.max_tokens for one in trace.arrivals} == {2, 3, 4}
    assert {one.num_prompt_tokens for one in poisson(5.0, 9, prompt=7).arrivals} == {7}
    assert all(1 <= token < 2048 for one in trace.arrivals for token in one.prompt_token_ids)


def test_prompts_of_a_group_share_their_beginning_and_no_more():
    trace = shared_prefix(5.0, 40, prefix=50, groups=3, prompt=(8, 8))
    beginnings = {one.prompt_token_ids[:50] for one in trace.arrivals}
    assert len(beginnings) == 3 and len({one.prompt_token_ids for one in trace.arrivals}) == 40
    assert len({one.prompt_token_ids[:1] for one in poisson(5.0, 40).arrivals}) > 30


def test_the_intruder_comes_in_between():
    trace = long_prompt_intruder(chats=3, intruder=500, at=0.5)
    assert trace.names == ("chat 1", "chat 2", "chat 3", "intruder")
    assert trace.arrivals[-1].time == 0.5 and trace.arrivals[-1].num_prompt_tokens == 500
    assert long_prompt_intruder(at=(0.1, 0.2)).names[-2:] == ("intruder 1", "intruder 2")


def test_a_trace_of_ones_own_is_put_in_order():
    trace = Workload("mine", [Arrival(2.0, [5, 6]), Arrival(1.0, (7,), 3, name="early")])
    assert [one.time for one in trace.arrivals] == [1.0, 2.0] and trace.names == ("early", "1")
    assert (trace.num_prompt_tokens, trace.num_output_tokens) == (3, 19)
    assert repr(trace) == "Workload('mine', 2 requests in 2 s, 3 prompt and 19 output tokens)"


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Arrival(-1.0, (1,)), InvalidValue),
        (lambda: Arrival(math.nan, (1,)), InvalidValue),
        (lambda: Arrival("now", (1,)), InvalidType),
        (lambda: Arrival(0.0, ()), InvalidValue),
        (lambda: Arrival(0.0, None), InvalidType),
        (lambda: Arrival(0.0, "text"), InvalidType),
        (lambda: Workload("odd", None), InvalidType),
        (lambda: poisson(1.0, 3, prompt=None), InvalidType),
        (lambda: poisson(1.0, 3, prompt=2.5), InvalidType),
        (lambda: poisson(1.0, 3, prompt=(1, 2, 3)), InvalidType),
        (lambda: bursty(1.0, 3, burstiness=1e308), InvalidValue),
        (lambda: Arrival(0.0, (1,), 0), InvalidValue),
        (lambda: Workload("none", []), InvalidValue),
        (lambda: Workload("odd", [(0.0, (1,), 2)]), InvalidType),
        (lambda: poisson(0.0, 3), InvalidValue),
        (lambda: poisson(1.0, 0), InvalidValue),
        (lambda: poisson(1.0, 3, prompt=(5, 3)), InvalidValue),
        (lambda: poisson(1.0, 3, output=0), InvalidValue),
        (lambda: poisson(1.0, 3, seed="a"), InvalidType),
        (lambda: bursty(1.0, 3, burstiness=0.0), InvalidValue),
        (lambda: shared_prefix(1.0, 3, groups=0), InvalidValue),
        (lambda: long_prompt_intruder(chats=0), InvalidValue),
    ],
)
def test_odd_traces_are_refused(make, error):
    with pytest.raises(error):
        make()
