"""A day at a batching server, worked out by hand, and by a list of arrivals for the server that takes one at a time."""

import itertools

import pytest

from minillm.errors import InvalidType, InvalidValue
from minillm.lab.batching_day import PassCost, play, poisson_arrivals
from minillm.serving import DynamicBatcher, DynamicBatcherConfig, QueuePolicy

COST = PassCost(4000, 500)


def batcher(**fields):
    return DynamicBatcher(DynamicBatcherConfig(**fields))


def test_a_day_by_hand():
    day = play(batcher(max_batch_size=2, max_queue_delay_microseconds=3000), [0, 1000, 2000, 9000], COST)
    assert [(sent.requests, sent.started, sent.ended) for sent in day.batches] == [
        ((0, 1), 1000, 6000),
        ((2,), 6000, 10500),
        ((3,), 12000, 16500),
    ]
    assert day.latencies == (5000, 6000, 7500, 8500)
    assert (day.percentile(50), day.percentile(51), day.percentile(100)) == (6.0, 7.5, 8.5)
    assert day.mean_batch == 4 / 3 and day.busy == 14000 / 16500 and day.unanswered == []


def test_padding_is_paid_for():
    day = play(batcher(max_batch_size=4, allowed_batch_sizes=[4]), [0], COST)
    assert day.batches[0].rows == 4 and day.latencies == (6000,) and day.padding == 0.75


def test_one_at_a_time_is_a_queue():
    arrivals, free, want = poisson_arrivals(200, 300), 0, []
    for now in arrivals:
        free = max(free, now) + COST(1)
        want.append(free - now)
    assert play(batcher(max_batch_size=1), arrivals, COST).latencies == tuple(sorted(want))


def test_instances_share_the_work():
    day = play(batcher(max_batch_size=1, num_batch_threads=2), [0, 0, 0], COST, instances=2)
    assert [(sent.instance, sent.started) for sent in day.batches] == [(0, 0), (1, 0), (0, 4500)]


class Hoards:
    """Sends full batches only."""

    def __init__(self, size):
        self.size, self.queue, self.busy = size, [], False

    def submit(self, number, now):
        self.queue.append(number)

    def poll(self, now):
        if self.busy or len(self.queue) < self.size:
            return None
        self.busy, batch, self.queue = True, self.queue[: self.size], self.queue[self.size :]
        return batch

    def complete(self, batch, now, results):
        self.busy = False


def test_those_who_are_left_over_are_never_answered():
    day = play(Hoards(4), range(0, 10000, 1000), COST)
    assert day.unanswered == [8, 9] and [sent.requests for sent in day.batches] == [(0, 1, 2, 3), (4, 5, 6, 7)]


def test_the_refused_and_the_late_are_unanswered():
    policy = QueuePolicy(max_queue_size=2, default_timeout_microseconds=4600)
    day = play(batcher(max_batch_size=1, default_queue_policy=policy), [0, 0, 1, 2, 3], COST)
    assert day.unanswered == [2, 3, 4] and [one.refused for one in day.requests] == [False, False, False, True, True]


def test_options_reach_submit():
    config = DynamicBatcherConfig(max_batch_size=1, priority_levels=2, default_priority_level=2)
    day = play(DynamicBatcher(config), [0, 1, 2], COST, options=lambda n: {"priority": 1} if n == 2 else {})
    assert [sent.requests for sent in day.batches] == [(0,), (2,), (1,)]


def test_batchers_that_cheat_are_told():
    class Greedy(Hoards):
        def poll(self, now):
            return [self.queue.pop()] if self.queue else None

    class Restless(Hoards):
        def poll(self, now):
            return now

    with pytest.raises(InvalidValue, match="only when one of 1 instances is free"):
        play(Greedy(1), [0, 1], COST)
    with pytest.raises(InvalidValue, match="lies ahead"):
        play(Restless(1), [0], COST)


def test_arrivals_have_their_rate_and_repeat():
    arrivals = poisson_arrivals(500, 4000)
    assert arrivals == poisson_arrivals(500, 4000) != poisson_arrivals(500, 4000, seed=1)
    assert all(a <= b for a, b in itertools.pairwise(arrivals))
    assert arrivals[-1] / 1e6 == pytest.approx(8, rel=0.05)
    for wrong in (0, -1, float("nan"), "5"):
        with pytest.raises((InvalidValue, InvalidType)):
            poisson_arrivals(wrong, 3)


def test_the_price_list():
    assert COST(8) == 8000 and COST.rows_per_second(8) == 1000


def test_a_day_without_an_answer_has_no_percentiles():
    with pytest.raises(InvalidValue, match="needs an answer"):
        play(Hoards(2), [0], COST).percentile(50)
