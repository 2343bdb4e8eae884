"""A hall with one server, a bell and a clock that jumps: threads for people who want to see what threads do.

A thread that sleeps is a generator that yields. What it yields says what it is waiting for: the bell, a number of microseconds, or
a batch to be computed. Nothing happens at the same time unless it is written so, and the same story happens every time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.lab.batching_day import BatchingDay, Sent, Served

TURNS_EACH = 1000  # turns of the server for each request, and then it is called restless


@dataclass(frozen=True)
class Request:
    """A request that came at `arrived` (µs) and takes `tokens` of a batch's budget."""

    number: int
    arrived: float
    tokens: int = 1


@dataclass(frozen=True)
class Wish:
    """What a server waits for: the bell, `until` a time, or the end of its `batch`."""

    bell: bool = False
    until: float | None = None
    batch: tuple[Request, ...] | None = None


class Hall:
    """Where requests come in and one server works. `now` is the time in µs, `bell` is up when somebody has rung and nobody put it down."""

    def __init__(self) -> None:
        self.now, self.bell = 0.0, False

    def __deepcopy__(self, memo: dict) -> Hall:
        return self  # there is one clock and one bell, also where arguments are copied

    def listen(self, at_most: float | None = None) -> Wish:
        """Sleep until the bell is up (at once, if it is), or for `at_most` microseconds."""
        return Wish(bell=True, until=None if at_most is None else self.now + at_most)

    def sleep(self, how_long: float) -> Wish:
        """Sleep so many microseconds, bell or no bell."""
        return Wish(until=self.now + how_long)

    def compute(self, batch: Sequence[Request]) -> Wish:
        """Let the model compute a batch, and sleep until it is done."""
        return Wish(batch=tuple(batch))


def open_hall(
    make: Callable[[Hall], Any],
    arrivals: Sequence[tuple[float, int]],
    cost: Callable[[int], float],
    *,
    turns_each: int = TURNS_EACH,
) -> BatchingDay:
    """A server's maker, (time, tokens) of each request, µs a pass of so many tokens -> the day, and who is left at its end.

    The server has submit(request), which may refuse with a ValueError, and the generator work(). Raises InvalidType or InvalidValue
    for a server that yields something else, lets the model compute what never came or has left, or turns more than `turns_each` times a request.
    """
    return _Play(make, arrivals, cost, turns_each).run()


class _Play:
    """One server in its hall, from the first arrival until nothing can happen any more."""

    def __init__(self, make: Callable[[Hall], Any], arrivals: Sequence[tuple[float, int]], cost: Callable, turns: int):
        self.hall, self.cost = Hall(), cost
        self.server = make(self.hall)
        self.coming = [Request(number, now, tokens) for number, (now, tokens) in enumerate(arrivals)]
        self.requests = [Served(one.number, one.arrived) for one in self.coming]
        self.inside: set[Request] = set()
        self.sent: list[Sent] = []
        self.turns_each, self.turns_left = turns, turns * (1 + len(self.coming))
        self.coming.reverse()  # the next is the last

    def run(self) -> BatchingDay:
        work = self.server.work()
        if not inspect.isgenerator(work):
            raise InvalidType(rule_numbers_remedy("work must be a generator", type(work).__name__, "write yield in it"))
        for wish in work:
            self.turns_left -= 1
            if self.turns_left < 0:
                rule = f"a server turns at most {self.turns_each} times a request"
                raise InvalidValue(
                    rule_numbers_remedy(rule, f"more, at {self.hall.now:g} µs", "sleep until something happens")
                )
            if not self.wait_for(self.start(wish)):
                break
        return BatchingDay(tuple(self.requests), tuple(self.sent))

    def start(self, wish: Any) -> Wish:
        """Begin what the server wants -> what ends it."""
        if not isinstance(wish, Wish):
            raise InvalidType(
                rule_numbers_remedy("a server yields hall.listen, sleep or compute", repr(wish)[:60], "yield one")
            )
        if wish.batch is None:
            return wish
        for one in wish.batch:
            if one not in self.inside:
                raise InvalidValue(
                    rule_numbers_remedy("a batch is made of those who wait", f"{one!r}", "take each request once")
                )
            self.inside.remove(one)
            self.requests[one.number].started, self.requests[one.number].batch = self.hall.now, len(self.sent)
        tokens = sum(one.tokens for one in wish.batch)
        end = self.hall.now + (self.cost(tokens) if wish.batch else 0)
        if wish.batch:
            numbers = tuple(one.number for one in wish.batch)
            self.sent.append(Sent(len(self.sent), numbers, tokens, 0, self.hall.now, end))
        return Wish(until=end, batch=wish.batch)

    def wait_for(self, wish: Wish) -> bool:
        """Let time pass until the wish is fulfilled; False when nothing can ever fulfil it."""
        hall = self.hall
        while not (wish.bell and hall.bell):
            events = [self.coming[-1].arrived] if self.coming else []
            events += [] if wish.until is None else [wish.until]
            if not events:
                return False
            hall.now = max(hall.now, min(events))
            while self.coming and self.coming[-1].arrived <= hall.now:
                self.let_in(self.coming.pop())
            if wish.until is not None and wish.until <= hall.now:
                break
        for one in wish.batch or ():
            self.requests[one.number].answered = hall.now
        return True

    def let_in(self, one: Request) -> None:
        self.inside.add(one)
        try:
            self.server.submit(one)
        except ValueError:
            self.inside.discard(one)
            self.requests[one.number].refused = True
