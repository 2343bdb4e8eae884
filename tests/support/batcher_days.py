"""A dynamic batcher and the slow one side by side, through whole days of requests on a virtual clock.

`Day` takes one step at a time and compares all that can be seen; who draws the steps, a seed or hypothesis, is not its affair.
"""

from collections import Counter

from slow_batcher import Policy, Settings, SlowBatcher

from minillm.errors import InvalidType, InvalidValue


def config_of(house, s):
    """The same settings, in the package's words."""
    policies = {
        level: house.QueuePolicy(
            timeout_action=policy.action,
            default_timeout_microseconds=policy.timeout,
            allow_timeout_override=policy.override,
            max_queue_size=policy.room,
        )
        for level, policy in s.policies.items()
    }
    return house.DynamicBatcherConfig(
        max_batch_size=s.most,
        preferred_batch_size=s.preferred,
        max_queue_delay_microseconds=s.delay,
        preserve_ordering=s.in_order,
        priority_levels=s.levels,
        default_priority_level=s.default_level,
        priority_queue_policy=policies,
        allowed_batch_sizes=s.allowed,
        num_batch_threads=s.threads,
        max_enqueued_batches=s.batches_waiting,
    )


def draw_settings(draw):
    """A `random.Random` -> settings that are allowed together."""
    most = draw.randint(1, 8)
    s = Settings(most=most, delay=draw.choice((0, 5, 20)), threads=draw.randint(1, 3))
    s.preferred = draw.sample(range(1, most + 1), draw.randint(0, min(2, most)))
    s.in_order = draw.random() < 0.3
    s.levels = 0 if draw.random() < 0.4 else 1 if s.in_order else draw.randint(1, 3)
    s.default_level = draw.randint(1, s.levels) if s.levels else 0
    s.allowed = sorted({most, *draw.sample(range(1, most + 1), min(most, 2))}) if draw.random() < 0.5 else []
    s.batches_waiting = draw.choice((0, 0, 2, 3))
    for level in range(min(1, s.levels), s.levels + 1):
        action = "REJECT" if s.in_order else draw.choice(("REJECT", "DELAY"))
        if draw.random() < 0.8:
            s.policies[level] = Policy(action, draw.choice((0, 8, 30)), draw.random() < 0.5, draw.choice((0, 0, 3)))
    return s


class Day:
    """`batcher` is under test and `slow` is believed. Every method is one event; each compares afterwards."""

    def __init__(self, house, settings):
        self.house, self.s, self.now = house, settings, 0
        self.ends, self.left = Counter(), []
        self.batcher = house.DynamicBatcher(config_of(house, settings), on_resolve=self.note)
        self.slow, self.tickets, self.batches, self.wake = SlowBatcher(settings), [], {}, None
        self.refused = self.cancelled = 0
        self.settle()

    def note(self, ticket):
        self.ends[ticket] += 1
        self.left.append(ticket)

    def submit(self, size=1, priority=None, own=None, shape="a"):
        level, name = self.s.default_level if priority is None else priority, len(self.tickets)
        if own and not self.slow.policy(level).override:
            own = None
        taken = self.slow.submit(name, self.now, size, level, own, shape)
        try:
            ticket = self.batcher.submit(
                name, self.now, size=size, priority=priority, timeout_microseconds=own, shape=shape
            )
        except InvalidValue as refusal:
            assert not taken and "may wait" in str(refusal), f"request {name} was refused: {refusal}"
            self.refused += 1
        else:
            assert taken, f"request {name} was taken in, and there was no room"
            self.tickets.append(ticket)
        self.settle()

    def cancel(self, which):
        if self.tickets:
            name = which % len(self.tickets)
            want = self.slow.cancel(name, self.now)
            assert self.batcher.cancel(self.tickets[name], self.now) is want, f"cancel request {name}: want {want}"
            self.cancelled += want
            self.settle()

    def finish(self, which, fails=False):
        if self.batches:
            first = sorted(self.batches)[which % len(self.batches)]
            batch = self.batches.pop(first)
            self.slow.finish(first, self.now, "failed" if fails else "done")
            if fails:
                self.batcher.fail(batch, self.now, RuntimeError(f"batch of {first}"))
            else:
                self.batcher.complete(batch, self.now, [f"answer to {name}" for name in batch.payloads])
            self.settle()

    def wait(self, how_long):
        self.now += how_long
        self.settle()

    def sleep(self):
        """To the time the batcher named, and not a microsecond longer."""
        if self.wake is not None:
            self.now = self.wake
            self.settle()

    def close(self, drain):
        self.slow.close(self.now, drain)
        self.batcher.close(self.now, drain=drain)
        self.settle()

    def wrong_calls(self):
        before = self.seen()
        closed, now, most = self.slow.closed, self.now, self.s.most
        wrong = [
            lambda: self.batcher.submit("x", now, size=most + 1),
            lambda: self.batcher.submit("x", now, size=0),
            lambda: self.batcher.submit("x", now, size=True),
            lambda: self.batcher.submit("x", now, priority=self.s.levels + 1),
            lambda: self.batcher.submit("x", now, timeout_microseconds=0),
            lambda: self.batcher.submit("x", now - 1),
            lambda: self.batcher.poll(float("nan")),
            lambda: self.batcher.poll("now"),
            lambda: self.batcher.cancel("x", now),
            lambda: self.batcher.complete("x", now, []),
        ]
        wrong += [lambda: self.batcher.submit("x", now)] if closed else []
        for number, call in enumerate(wrong):
            try:
                call()
            except (InvalidValue, InvalidType):
                continue
            raise AssertionError(f"wrong call {number} was accepted")
        assert self.seen() == before, "a wrong call changed something"

    def seen(self):
        b = self.batcher
        return b.num_waiting, b.num_free, [t.status for t in self.tickets], b.statistics

    def settle(self):
        """Ask until there is no batch left to send, the slow one beside; then compare everything."""
        while True:
            want, got = self.slow.poll(self.now), self.batcher.poll(self.now)
            if want[0] == "ask":
                break
            assert not isinstance(got, (int, float, type(None))), (
                f"at {self.now}: want batch {want[1]}, told to wait until {got}"
            )
            assert [t.number for t in got.tickets] == want[1], f"want batch {want[1]}, got {got.payloads}"
            assert got.padded_size == want[2], f"want {want[2]} rows with padding, got {got.padded_size}"
            assert got.size <= self.s.most and got.num_padding >= 0 and got.started_at == self.now
            self.batches[want[1][0]] = got
        assert got == want[1], f"at {self.now}: want to be asked at {want[1]}, got {got}"
        self.wake = got
        self.compare()

    def compare(self):
        assert all(count == 1 for count in self.ends.values()), "a request ended twice"
        assert [t.number for t in self.left] == self.slow.order, (
            f"want to end {self.slow.order}, got {[t.number for t in self.left]}"
        )
        for ticket in self.tickets:
            want = self.slow.ended.get(ticket.number)
            assert ticket.has_ended == (want is not None) and want in (None, ticket.status), (
                f"request {ticket.number}: want {want}, got {ticket.status}"
            )
        for ticket in self.left:
            good = ticket.status == "done"
            assert ticket.value == (f"answer to {ticket.payload}" if good else None)
            assert (ticket.error is None) == (ticket.status in ("done", "cancelled"))
        self.compare_counts()

    def compare_counts(self):
        ends, b = Counter(self.slow.ended.values()), self.batcher
        counted = b.statistics
        assert (b.num_waiting, counted.pending_request_count) == (len(self.slow.waiting),) * 2
        assert b.num_free == self.s.threads - len(self.slow.running)
        assert counted.request_success == ends["done"]
        want = {"REJECTED": ends["rejected"] + self.refused, "CANCELED": ends["cancelled"], "BACKEND": ends["failed"]}
        assert counted.request_failure == want, f"want {want}, got {counted.request_failure}"
        assert counted.queue_duration_us == self.slow.queued_for

    def night(self):
        """Close, compute what is left, and see that nobody was forgotten."""
        self.close(drain=True)
        while self.batches:
            self.finish(0)
            self.sleep()
        assert self.batcher.is_idle and all(t.has_ended for t in self.tickets), "somebody was left behind"


def random_day(house, draw, steps=60):
    """One day drawn from a seed -> the day, over."""
    day = Day(house, draw_settings(draw))
    for _ in range(steps):
        step = draw.random()
        if step < 0.4 and not day.slow.closed:
            priority = draw.choice((None, draw.randint(1, day.s.levels))) if day.s.levels else None
            day.submit(
                draw.randint(1, min(3, day.s.most)), priority, draw.choice((None, None, 3, 12)), draw.choice("aaab")
            )
        elif step < 0.6:
            day.finish(draw.randint(0, 9), draw.random() < 0.2)
        elif step < 0.7:
            day.cancel(draw.randint(0, 99))
        elif step < 0.85:
            day.wait(draw.choice((0, 1, 2, 7)))
        elif step < 0.96:
            day.sleep()
        elif step < 0.98:
            day.wrong_calls()
        elif step > 0.995:
            day.close(draw.random() < 0.5)
    day.night()
    return day
