"""A walk through a day with a learner's batcher on one hand and the package's own on the other.

A walk draws arrivals, waits and the ends of passes, and after every event asks both what now. The learner's must send the same
requests at the same times, name the time at which to ask again, and turn away exactly those whose time is over, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.compare import clip
from minillm.lab.checks.result import Finding
from minillm.serving import DynamicBatcher, DynamicBatcherConfig, QueuePolicy

MOST, DELAY, ROOM = 4, 1000, 10


class _Broken(Exception):
    """A rule that was broken, in words; raised and caught here."""


class Walk:
    """A learner's batcher beside ours; `story` holds what happened so far."""

    def __init__(self, call: LearnerCall, most: int = MOST, delay: int = DELAY, room: int = ROOM) -> None:
        self.now, self.room, self.story = 0, room, list[str]()
        self.rejected: list[Any] = []
        self.batcher = call(most, delay, room, self.rejected.append)
        config = DynamicBatcherConfig(
            max_batch_size=most,
            max_queue_delay_microseconds=delay,
            priority_levels=2,
            default_priority_level=2,
            default_queue_policy=QueuePolicy(allow_timeout_override=True),
        )
        self.ours = DynamicBatcher(config)
        self.tickets: list[Any] = []
        self.running: Any = None
        self.wake: float | None = None

    def come(self, count: int = 1, *, level: int = 2, timeout: int | None = None) -> Walk:
        """So many requests arrive now; the names are numbers."""
        for _ in range(count):
            name = len(self.tickets)
            options = {} if level == 2 else {"level": level}
            options |= {} if timeout is None else {"timeout": timeout}
            full = (
                sum(t.is_waiting and (t.deadline is None or t.deadline > self.now) for t in self.tickets) >= self.room
            )
            self._told(f"submit({name}{''.join(f', {key}={value}' for key, value in options.items())})")
            try:
                self.batcher.submit(name, self.now, **options)
            except ValueError:
                if not full:
                    raise _Broken(("what", f"request {name} was refused, and there was room")) from None
                continue
            if full:
                raise _Broken(("what", f"{self.room} wait already; submit must raise ValueError"))
            self.tickets.append(self.ours.submit(name, self.now, priority=level, timeout_microseconds=timeout))
        return self.ask()

    def done(self) -> Walk:
        """The model has finished its batch."""
        if self.running is not None:
            self._told("the batch is done")
            batch, self.running = self.running, None
            self.ours.complete(batch, self.now, [None] * len(batch.tickets))
            self.batcher.complete(batch.payloads, self.now, [None] * len(batch.tickets))
            self.ask()
        return self

    def wait(self, how_long: int) -> Walk:
        self.now += how_long
        return self.ask()

    def later(self, how_long: int) -> Walk:
        """Time passes, and nobody asks before the next event."""
        self.now += how_long
        return self

    def sleep(self) -> Walk:
        """To the time at which something happens by itself."""
        if self.wake is not None:
            self.now = int(self.wake)
            self.ask()
        return self

    def ask(self) -> Walk:
        """What now? Both must say the same, and have turned away the same."""
        while True:
            want, got = self.ours.poll(self.now), self.batcher.poll(self.now)
            if want is None or isinstance(want, int | float):
                break
            if not isinstance(got, list | tuple) or list(got) != want.payloads:
                raise _Broken(("got", said(got)), ("want", f"the batch {want.payloads}"))
            self._told(f"{list(got)} leave")
            self.running = want
        if not _same_time(got, want, self.now):
            raise _Broken(("got", said(got)), ("want", said(want)))
        self.wake = want
        self._compare_rejected()
        return self

    def _compare_rejected(self) -> None:
        want = [ticket.number for ticket in self.tickets if ticket.status == "rejected"]
        names = [ticket.payload for ticket in self.tickets if ticket.number in want]
        if sorted(self.rejected) != sorted(names):
            raise _Broken(
                ("rejected so far", clip(str(sorted(self.rejected)), 80)), ("want", clip(str(sorted(names)), 80))
            )

    def drain(self) -> Walk:
        """Nobody comes any more: in the end everybody has left or was turned away."""
        while not self.ours.is_idle:
            self.done() if self.running is not None else self.sleep()
        return self

    def _told(self, what: str) -> None:
        self.story.append(f"{self.now}: {what}")


def _same_time(got: Any, want: float | None, now: float) -> bool:
    """Whether it asks to be asked in time: later than now, and not later than ours; never where ours sees no reason to."""
    if got is None or want is None:
        return got is want
    return isinstance(got, int | float) and not isinstance(got, bool) and now < got <= want


def said(answer: Any) -> str:
    """What a batcher's `poll` said, in words."""
    if answer is None:
        return "None: nothing happens by itself"
    return f"ask again at {answer}" if isinstance(answer, int | float) else f"the batch {clip(repr(answer), 60)}"


def law(work: Callable[[Walk], object], **sizes: int) -> Callable[[LearnerCall], Finding | None]:
    """A walk as a property's law: what a learner's batcher did otherwise than ours, and the story up to there."""

    def follow(call: LearnerCall) -> Finding | None:
        walk = Walk(call, **sizes)
        try:
            work(walk)
        except _Broken as broken:
            story = "\n".join(["…"] * (len(walk.story) > 8) + walk.story[-8:])
            return Finding("", (("story", story), ("now", f"{walk.now}"), *broken.args))
        return None

    return follow
