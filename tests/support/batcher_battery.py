"""What a dynamic batcher must get right, as named checks that take the modules under test.

Each raises AssertionError when something is wrong. The numbers were worked out by hand; what random days show is in
`batcher_days`, and what threads may do to each other in `batcher_thread_battery`. Times are microseconds.
"""

import random
from collections import Counter

from batcher_days import random_day

from minillm.errors import InvalidType, InvalidValue

CHECKS = {}


def check(function):
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function


def same(got, want):
    assert got == want, f"want {want}, got {got}"


def refused(call, kind=(InvalidValue, InvalidType)):
    """The call must raise one of our errors; any other is an accident."""
    try:
        call()
    except kind as refusal:
        return str(refusal)
    raise AssertionError("a wrong call was accepted")


class Desk:
    """A batcher with its settings, and the ends it announced."""

    def __init__(self, house, most=4, **settings):
        self.house, self.ended = house, []
        config = house.DynamicBatcherConfig(max_batch_size=most, **settings)
        self.batcher = house.DynamicBatcher(config, on_resolve=self.ended.append)

    def come(self, now, count=1, **options):
        """-> the tickets of so many equal requests; nobody asks in between."""
        return [self.batcher.submit(f"at {now}", now, **options) for _ in range(count)]

    def sent(self, now):
        """-> the tickets of the batch that leaves now; it must be one."""
        batch = self.batcher.poll(now)
        assert isinstance(batch, self.house.Batch), f"at {now}: want a batch, got {batch}"
        self.last = batch
        return list(batch.tickets)

    def asks_again_at(self, now, want):
        got = self.batcher.poll(now)
        assert not isinstance(got, self.house.Batch) and got == want, f"at {now}: want to be asked at {want}, got {got}"

    def done(self, now, batch=None):
        batch = batch or self.last
        self.batcher.complete(batch, now, [f"done {t.number}" for t in batch.tickets])


def policy(house, **fields):
    return house.QueuePolicy(**fields)


@check
def the_oldest_waits_no_longer_than_the_delay(house):
    desk = Desk(house, max_queue_delay_microseconds=100)
    first = desk.come(0)
    desk.asks_again_at(0, 100)
    second = desk.come(90)
    desk.asks_again_at(90, 100)
    desk.asks_again_at(99, 100)
    same(desk.sent(100), first + second)


@check
def nobody_waits_for_company_without_a_delay(house):
    desk = Desk(house)
    first = desk.come(5)
    same(desk.sent(5), first)
    rest = desk.come(6, 3)
    desk.asks_again_at(6, None)
    desk.done(9)
    same(desk.sent(9), rest)


@check
def a_full_batch_goes_at_once(house):
    desk = Desk(house, most=3, max_queue_delay_microseconds=100)
    tickets = desk.come(0, 4)
    same(desk.sent(0), tickets[:3])
    desk.done(1)
    desk.asks_again_at(1, 100)


@check
def a_batch_forms_only_when_somebody_is_free(house):
    desk = Desk(house, max_queue_delay_microseconds=10, num_batch_threads=2)
    desk.come(0, 4), desk.sent(0), desk.come(0, 4), desk.sent(0)
    rest = desk.come(1, 3)
    desk.asks_again_at(50, None)
    desk.done(60)
    same(desk.sent(60), rest)


@check
def the_longest_preferred_size_goes_at_once(house):
    desk = Desk(house, most=8, preferred_batch_size=[2, 4], max_queue_delay_microseconds=100)
    tickets = desk.come(0, 3)
    same(desk.sent(0), tickets[:2])
    tickets = tickets[2:] + desk.come(0, 4)
    desk.done(1)
    same(desk.sent(1), tickets[:4])
    desk.done(2)
    desk.asks_again_at(2, 100)


@check
def the_overdue_take_everybody_along(house):
    desk = Desk(house, most=8, preferred_batch_size=[4], max_queue_delay_microseconds=100)
    tickets = desk.come(0, 3)
    same(desk.sent(100), tickets)
    tickets = desk.come(101, 5)
    desk.done(300)
    same(desk.sent(300), tickets)


@check
def a_request_that_would_pass_every_preferred_size_stays(house):
    desk = Desk(house, most=8, preferred_batch_size=[4], max_queue_delay_microseconds=100)
    three, other = desk.come(0, size=3), desk.come(0, size=3)
    same(desk.sent(0), three)
    desk.done(1)
    desk.asks_again_at(1, 100)
    same(desk.sent(100), other)


@check
def nobody_is_skipped(house):
    desk = Desk(house, most=4, max_queue_delay_microseconds=100)
    first, second, third = desk.come(0, size=3)[0], desk.come(0, size=3)[0], desk.come(0)[0]
    same(desk.sent(0), [first])
    desk.done(1)
    same(desk.sent(1), [second, third])


@check
def shapes_do_not_mix(house):
    desk = Desk(house, most=4, max_queue_delay_microseconds=100)
    a, b, c = desk.come(0, shape=(3,))[0], desk.come(0, shape=(4,))[0], desk.come(0, shape=(3,))[0]
    same(desk.sent(0), [a])
    desk.done(1)
    same(desk.sent(1), [b])
    desk.done(2)
    desk.asks_again_at(2, 100)
    same(desk.sent(100), [c])


@check
def a_higher_level_is_served_first(house):
    desk = Desk(house, most=2, priority_levels=3, default_priority_level=2)
    desk.come(0), desk.sent(0)
    low, middle, high = desk.come(1, 2, priority=3), desk.come(2), desk.come(3, 2, priority=1)
    desk.done(4)
    same(desk.sent(4), high)
    desk.done(5)
    same(desk.sent(5), middle + low[:1])


@check
def the_delay_is_that_of_the_oldest_in_the_batch(house):
    desk = Desk(house, max_queue_delay_microseconds=100, priority_levels=2, default_priority_level=2)
    low = desk.come(0)
    high = desk.come(70, priority=1)
    desk.asks_again_at(70, 100)
    same(desk.sent(100), high + low)


@check
def time_runs_out_in_the_queue_though_everybody_is_busy(house):
    limit = policy(house, default_timeout_microseconds=30)
    desk = Desk(house, max_queue_delay_microseconds=100, default_queue_policy=limit)
    desk.come(0, 4), desk.sent(0)
    ticket = desk.come(5)[0]
    desk.asks_again_at(5, 35)
    desk.asks_again_at(34, 35)
    same(ticket.status, "waiting")
    desk.asks_again_at(35, None)
    same((ticket.status, ticket.ended_at, type(ticket.error).__name__), ("rejected", 35, "RequestTimedOut"))
    same(desk.batcher.num_waiting, 0)


@check
def the_delayed_come_after_all_that_are_in_time(house):
    limit = policy(house, timeout_action="DELAY", default_timeout_microseconds=30)
    desk = Desk(house, most=2, default_queue_policy=limit, priority_levels=2, default_priority_level=1)
    desk.come(0), desk.sent(0)
    late, low = desk.come(1, 2), desk.come(20, priority=2)
    intime = desk.come(40)
    same([t.status for t in late], ["delayed"] * 2)
    desk.done(41)
    same(desk.sent(41), [intime[0], late[0]])
    desk.done(42)
    same(desk.sent(42), [late[1], *low])


@check
def an_own_timeout_only_shortens(house):
    limit = policy(house, default_timeout_microseconds=30, allow_timeout_override=True)
    desk = Desk(house, max_queue_delay_microseconds=100, default_queue_policy=limit)
    tickets = [desk.come(0, timeout_microseconds=own)[0] for own in (None, 10, 500)]
    same([t.deadline for t in tickets], [30, 10, 30])
    free = Desk(house, default_queue_policy=policy(house, allow_timeout_override=True))
    same([t.deadline for t in free.come(5) + free.come(5, timeout_microseconds=10)], [None, 15])
    strict = Desk(house, default_queue_policy=policy(house, default_timeout_microseconds=30))
    refused(lambda: strict.come(0, timeout_microseconds=10))


@check
def a_full_queue_refuses(house):
    desk = Desk(
        house, most=2, default_queue_policy=policy(house, max_queue_size=2), priority_levels=2, default_priority_level=1
    )
    desk.come(0), desk.sent(0)
    waiting = desk.come(1, 2)
    refused(lambda: desk.come(1), house.QueueFull)
    desk.come(1, priority=2)
    desk.done(2)
    same(desk.sent(2), waiting)
    desk.come(2, 2)
    refused(lambda: desk.come(2), house.QueueFull)
    same((desk.batcher.num_waiting, desk.batcher.statistics.request_failure["REJECTED"], desk.ended[1:]), (3, 2, []))


@check
def those_whose_time_is_over_make_room(house):
    limit = policy(house, default_timeout_microseconds=30, max_queue_size=1)
    desk = Desk(house, max_queue_delay_microseconds=100, default_queue_policy=limit)
    old = desk.come(0)[0]
    refused(lambda: desk.come(29), house.QueueFull)
    desk.come(30)
    same((old.status, desk.batcher.num_waiting), ("rejected", 1))


@check
def waiting_rows_are_bounded_in_batches(house):
    desk = Desk(house, most=4, max_enqueued_batches=2, max_queue_delay_microseconds=100)
    desk.come(0, 4), desk.sent(0)
    desk.come(0, 2, size=3)
    refused(lambda: desk.come(0, size=3), house.QueueFull)
    desk.come(0, size=2)
    refused(lambda: desk.come(0), house.QueueFull)


@check
def batches_are_padded_to_the_next_allowed_size(house):
    desk = Desk(house, most=8, allowed_batch_sizes=[1, 2, 4, 8])
    for rows, want in ((1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8)):
        desk.come(rows, rows), desk.sent(rows), desk.done(rows)
        same((desk.last.size, desk.last.padded_size, desk.last.num_padding), (rows, want, want - rows))
    plain = Desk(house, most=8)
    plain.come(0, 3), plain.sent(0)
    same(plain.last.padded_size, 3)


@check
def answers_leave_in_order(house):
    desk = Desk(house, most=2, preserve_ordering=True, num_batch_threads=3)
    for now in (0, 1, 2):
        desk.come(now, 2), desk.sent(now)
    first, second, third = sorted(desk.batcher._running.values(), key=lambda batch: batch.number)
    desk.done(5, third)
    same(desk.ended, [])
    same([t.status for t in third.tickets], ["held", "held"])
    desk.batcher.fail(first, 6, RuntimeError("first"))
    same([t.number for t in desk.ended], [0, 1])
    desk.done(7, second)
    same(
        [(t.number, t.status) for t in desk.ended], [(0, "failed"), (1, "failed"), *((n, "done") for n in (2, 3, 4, 5))]
    )
    loose = Desk(house, most=1, num_batch_threads=2)
    loose.come(0, 2), loose.sent(0), loose.sent(0), loose.done(1)
    same([t.number for t in loose.ended], [1])


@check
def an_error_ends_its_own_batch_only(house):
    desk = Desk(house, most=2, num_batch_threads=2)
    tickets, error = desk.come(0, 4), RuntimeError("no")
    desk.sent(0)
    broken = desk.last
    desk.sent(0)
    desk.batcher.fail(broken, 1, error)
    desk.done(2)
    same(
        [(t.status, t.error, t.value) for t in tickets],
        [("failed", error, None)] * 2 + [("done", None, f"done {n}") for n in (2, 3)],
    )
    same(desk.ended, tickets)


@check
def a_model_must_answer_everybody(house):
    desk = Desk(house, most=2)
    for now, results in enumerate(([1], [1, 2, 3], None, "ab", 5)):
        tickets = desk.come(now, 2)
        desk.sent(now)
        desk.batcher.complete(desk.last, now, results)
        same([(t.status, type(t.error).__name__) for t in tickets], [("failed", "InvalidValue")] * 2)
    desk.come(9, 2), desk.sent(9), desk.done(9)
    same(Counter(t.status for t in desk.ended), {"failed": 10, "done": 2})


@check
def a_batch_ends_once(house):
    desk, other = (Desk(house, most=1, num_batch_threads=2) for _ in range(2))
    for one in (desk, other):
        one.come(0, 2), one.sent(0), one.done(1), one.sent(1)
    ended = desk.ended[0]
    over = house.Batch(0, (ended,), 1, 0)
    for batch in (over, other.last, house.Batch(99, (), 0, 0)):
        refused(lambda batch=batch: desk.batcher.complete(batch, 2, ["again"]))
        refused(lambda batch=batch: desk.batcher.fail(batch, 2, RuntimeError()))
    foreign = other.come(1)[0]
    refused(lambda: desk.batcher.cancel(foreign, 2))
    same((desk.ended, desk.batcher.num_free, foreign.status), ([ended], 1, "waiting"))


@check
def those_who_wait_can_be_cancelled(house):
    desk = Desk(house, max_queue_delay_microseconds=100)
    first, second, third = desk.come(0, 3)
    same(desk.batcher.cancel(first, 10), True)
    same((first.status, first.ended_at, desk.batcher.cancel(first, 11)), ("cancelled", 10, False))
    same(desk.sent(100), [second, third])
    same(desk.batcher.cancel(second, 101), False)
    desk.done(102)
    same([t.status for t in desk.ended], ["cancelled", "done", "done"])


@check
def the_wait_is_measured_anew_when_the_oldest_leaves(house):
    desk = Desk(house, max_queue_delay_microseconds=100)
    first, second = desk.come(0)[0], desk.come(50)[0]
    desk.asks_again_at(60, 100)
    desk.batcher.cancel(first, 70)
    desk.asks_again_at(70, 150)
    same(desk.sent(150), [second])


@check
def closing_sends_those_who_wait(house):
    desk = Desk(house, most=2, max_queue_delay_microseconds=100)
    tickets = desk.come(0, 3)
    desk.sent(0)
    desk.batcher.close(1)
    refused(lambda: desk.come(2), house.BatcherClosed)
    desk.asks_again_at(2, None)
    desk.done(3)
    same(desk.sent(3), tickets[2:])
    desk.done(4)
    same((desk.batcher.is_idle, [t.status for t in desk.ended]), (True, ["done"] * 3))


@check
def closing_can_turn_away_those_who_wait(house):
    desk = Desk(house, most=2, max_queue_delay_microseconds=100)
    tickets = desk.come(0, 3)
    desk.sent(0)
    desk.batcher.close(1, drain=False)
    same((tickets[2].status, type(tickets[2].error).__name__), ("rejected", "BatcherClosed"))
    desk.done(3)
    same([t.status for t in tickets], ["done", "done", "rejected"])
    same(desk.batcher.is_idle, True)


@check
def too_large_is_refused_at_the_door(house):
    desk = Desk(house, most=4, max_queue_delay_microseconds=100)
    for size in (5, 100, 0, -1, True, 1.0, "1", None):
        refused(lambda size=size: desk.come(0, size=size))
    ticket = desk.come(1, size=4)
    same(desk.sent(1), ticket)


@check
def statistics_are_those_of_triton(house):
    desk = Desk(house, most=4, allowed_batch_sizes=[2, 4], max_queue_delay_microseconds=100)
    desk.come(0, 2), desk.come(40), desk.sent(100), desk.done(150)
    desk.come(160, 1), desk.sent(260), desk.batcher.fail(desk.last, 300, RuntimeError())
    desk.batcher.cancel(desk.come(300)[0], 310)
    desk.come(320)
    s = desk.batcher.statistics
    same((s.inference_count, s.execution_count, s.mean_batch_size, s.padding_count), (3, 1, 3.0, 1))
    same((s.request_success, s.request_failure), (3, {"REJECTED": 0, "CANCELED": 1, "BACKEND": 1}))
    same((s.queue_duration_us, s.pending_request_count), (100 + 100 + 60 + 100, 1))


@check
def random_days_agree_with_the_slow_batcher(house):
    counts = Counter()
    for seed in range(150):
        day = random_day(house, random.Random(seed))
        counts += Counter(day.slow.ended.values()) + Counter(refused=day.refused, late=day.slow.num_late)
        counts["padding"] += day.batcher.statistics.padding_count
    rare = {name: count for name, count in counts.items() if count < 30}
    assert not rare and len(counts) == 7, f"the days were too quiet to say anything: {counts}"
