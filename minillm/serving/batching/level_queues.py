"""Who waits for a dynamic batcher, and in what order they are looked at.

A level is two lines: those in time, in order of arrival, and behind them those whose time has run out, in the order it did.
Level 1 comes whole before level 2. Nothing here costs time for each request that waits.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator

from minillm.errors import rule_numbers_remedy
from minillm.serving.batching.config import DELAY, DynamicBatcherConfig, QueuePolicy
from minillm.serving.batching.ticket import DELAYED, WAITING, Ticket
from minillm.serving.outputs import QueueFull


class _Level:
    """One level's two lines, and its policy."""

    def __init__(self, policy: QueuePolicy):
        self.policy = policy
        # Taking the first out of a plain dict walks over all that were taken before it; an OrderedDict is linked.
        self.in_time: OrderedDict[int, Ticket] = OrderedDict()
        self.late: OrderedDict[int, Ticket] = OrderedDict()

    def __len__(self) -> int:
        return len(self.in_time) + len(self.late)

    def lines(self) -> tuple[OrderedDict[int, Ticket], ...]:
        return self.in_time, self.late


class LevelQueues:
    """All levels of one batcher. Iterating gives the tickets in the order they are to be served."""

    def __init__(self, config: DynamicBatcherConfig):
        self._config = config
        levels = range(min(1, config.priority_levels), config.priority_levels + 1)
        self._levels = {level: _Level(config.policy(level)) for level in levels}
        self._deadlines: list[tuple[float, int, Ticket]] = []
        self._rows = self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Ticket]:
        for level in self._levels.values():
            for line in level.lines():
                yield from line.values()

    def holds(self, ticket: Ticket) -> bool:
        """Whether this very ticket waits here."""
        level = self._levels.get(ticket.level)
        return level is not None and any(line.get(ticket.number) is ticket for line in level.lines())

    def require_room(self, level: int, size: int) -> None:
        """Raise QueueFull when a request of `size` rows may not wait at this level."""
        waiting, most = len(self._levels[level]), self._levels[level].policy.max_queue_size
        if most and waiting >= most:
            rule = f"at most {most} requests may wait" + (f" at level {level}" if level else "")
            raise QueueFull(rule_numbers_remedy(rule, f"one more than {waiting}", "try again later"))
        batches, batch = self._config.max_enqueued_batches, self._config.max_batch_size
        if batches and self._rows + size > batches * batch:
            rule = f"at most {batches * batch} rows may wait: {batches} batches of {batch}"
            raise QueueFull(rule_numbers_remedy(rule, f"{size} more than {self._rows}", "try again later"))

    def push(self, ticket: Ticket) -> None:
        """Let a ticket wait, at the end of its level."""
        self._levels[ticket.level].in_time[ticket.number] = ticket
        self._rows += ticket.size
        self._count += 1
        if ticket.deadline is not None:
            if len(self._deadlines) > 2 * self._count + 64:  # mostly tickets that have left, and would be kept alive
                self._deadlines = [entry for entry in self._deadlines if entry[2].status == WAITING]
                heapq.heapify(self._deadlines)
            heapq.heappush(self._deadlines, (ticket.deadline, ticket.number, ticket))

    def remove(self, ticket: Ticket) -> None:
        """Take out a ticket that waits."""
        level = self._levels[ticket.level]
        del (level.in_time if ticket.status == WAITING else level.late)[ticket.number]
        self._rows -= ticket.size
        self._count -= 1

    def next_deadline(self) -> float | None:
        """When the next waiting ticket's time runs out."""
        # Tickets that left the line stay in the heap until they surface: most never cost a search.
        while self._deadlines and self._deadlines[0][2].status != WAITING:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def expire(self, now: float) -> list[Ticket]:
        """Deal with all whose time has run out: put those behind that are delayed -> those that are to be rejected."""
        rejected = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            ticket = heapq.heappop(self._deadlines)[2]
            level = self._levels[ticket.level]
            if level.policy.timeout_action == DELAY:
                level.late[ticket.number] = level.in_time.pop(ticket.number)
                ticket.status = DELAYED
            else:
                self.remove(ticket)
                rejected.append(ticket)
        return rejected
