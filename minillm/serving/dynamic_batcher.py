"""Requests come one by one, and a model computes many as cheaply as one: a dynamic batcher lets them wait for each other.

It answers one question, "what now?", with a batch, or with the time at which to ask again. It reads no clock, starts no
thread and calls no model, so a lesson runs it on a virtual clock and a test runs thousands of days a second; `batching.threads`
runs the same class on a real one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_whole
from minillm.serving.batching.config import DynamicBatcherConfig
from minillm.serving.batching.level_queues import LevelQueues
from minillm.serving.batching.send_rule import front_of, how_many_to_send, require_shape
from minillm.serving.batching.ticket import (
    CANCELLED,
    DONE,
    FAILED,
    HELD,
    REJECTED,
    RUNNING,
    Batch,
    BatcherClosed,
    RequestTimedOut,
    Statistics,
    Ticket,
)
from minillm.serving.outputs import QueueFull


class DynamicBatcher:
    """Forms batches of requests. Every call takes the time, `now`, in microseconds, never less than in the call before.

    submit(payload, now) -> ticket, poll(now) -> batch or time, complete(batch, now, results) or fail(batch, now, error)

    A batch leaves only when one of `num_batch_threads` is free; so even without a delay requests gather while others are
    computed. `on_resolve` is called once for each ticket, at its end, and must not raise.

    After Triton Inference Server and TensorFlow Serving. Where ours differs: a request's time has run out *at* its deadline,
    not after it, whether or not anybody is free; an own timeout counts where there is no default, and is refused where it is
    not allowed; an unknown priority is refused, not taken for the default; `max_enqueued_batches` counts rows, not batches as
    packed; one line for one model; a request larger than a batch is refused, never split; to make the inputs of one batch
    equally long is the model's affair.

    Raises InvalidType or InvalidValue for a wrong argument, QueueFull, or BatcherClosed; nothing was then taken in or sent.
    """

    def __init__(self, config: DynamicBatcherConfig, *, on_resolve: Callable[[Ticket], object] | None = None):
        if not isinstance(config, DynamicBatcherConfig):
            raise InvalidType(rule_numbers_remedy("config must be a DynamicBatcherConfig", repr(config), "build one"))
        self.config, self.now, self.is_closed = config, -math.inf, False
        self._on_resolve = on_resolve
        self._line = LevelQueues(config)
        self._running: dict[int, Batch] = {}
        self._in_turn: deque[Ticket] = deque()  # sent and not yet left, where answers keep their order
        self._held: dict[int, tuple[str, Any]] = {}
        self._statistics, self._num_tickets, self._num_batches = Statistics(), 0, 0

    @property
    def num_waiting(self) -> int:
        """Requests in the queue."""
        return len(self._line)

    @property
    def num_free(self) -> int:
        """How many more batches may be computed at once."""
        return self.config.num_batch_threads - len(self._running)

    @property
    def is_idle(self) -> bool:
        """Nobody waits and nothing is being computed."""
        return not self._line and not self._running

    def submit(
        self,
        payload: Any,
        now: float,
        *,
        size: int = 1,
        priority: int | None = None,
        timeout_microseconds: int | None = None,
        shape: Hashable = None,
    ) -> Ticket:
        """Let a request of `size` rows wait -> its ticket. `priority` and timeout are the level's own unless given."""
        level = self.config.level(priority)
        require_whole(size=size)
        require_shape(shape)
        if size > self.config.max_batch_size:
            rule = f"a request must fit a batch of {self.config.max_batch_size} rows"
            raise InvalidValue(rule_numbers_remedy(rule, str(size), "split it, or raise max_batch_size"))
        timeout = self.config.policy(level).timeout(timeout_microseconds)
        self._move_to(now)
        if self.is_closed:
            raise BatcherClosed("the batcher is shutting down and takes no more requests; start another.")
        self._expire(now)
        try:
            self._line.require_room(level, size)
        except QueueFull:
            self._statistics.request_failure["REJECTED"] += 1
            raise
        ticket = Ticket(self._num_tickets, payload, size, level, shape, now, None if timeout is None else now + timeout)
        self._num_tickets += 1
        self._line.push(ticket)
        return ticket

    def cancel(self, ticket: Ticket, now: float) -> bool:
        """Take a request back -> whether that was possible: once it is in a batch, or has ended, it is not."""
        if not isinstance(ticket, Ticket):
            rule, remedy = "a ticket must come from submit", "pass what submit gave"
            raise InvalidType(rule_numbers_remedy(rule, repr(ticket), remedy))
        if ticket.is_waiting and not self._line.holds(ticket):
            rule = "a request is cancelled where it waits"
            raise InvalidValue(rule_numbers_remedy(rule, "another batcher's ticket", "ask the batcher that gave it"))
        self._move_to(now)
        self._expire(now)
        if not ticket.is_waiting:
            return False
        self._line.remove(ticket)
        self._resolve(ticket, CANCELLED, None)
        return True

    def poll(self, now: float) -> Batch | float | None:
        """What now? -> a batch to compute, or the time to ask again, or None: not before something else happens.

        Ask after every submit, complete and fail, again after every batch, and at the time it named.
        """
        self._move_to(now)
        self._expire(now)
        if not self._line or not self.num_free:
            return self._line.next_deadline()
        front, blocked = front_of(self._line, self.config.max_batch_size)
        delay = 0 if self.is_closed else self.config.max_queue_delay_microseconds
        due = min(ticket.submitted_at for ticket in front) + delay
        sizes, preferred = [ticket.size for ticket in front], self.config.preferred_batch_size
        overdue = delay > 0 and now >= due
        count = how_many_to_send(sizes, preferred, blocked=blocked, may_wait=delay > 0, overdue=overdue)
        if count:
            return self._send(front[:count], now)
        deadline = self._line.next_deadline()
        return due if deadline is None else min(due, deadline)

    def complete(self, batch: Batch, now: float, results: Sequence[Any]) -> None:
        """The model has computed a batch: one result a request, in order. Another number of them is the model's error."""
        self._require_running(batch)
        if not isinstance(results, list | tuple) or len(results) != len(batch.tickets):
            got = f"{len(results)} results" if isinstance(results, list | tuple) else type(results).__name__
            rule = f"a model must return a list of one result a request, here {len(batch.tickets)}"
            self.fail(batch, now, InvalidValue(rule_numbers_remedy(rule, got, "return them in the batch's order")))
            return
        self._end(batch, now)
        self._statistics.inference_count += batch.size
        self._statistics.execution_count += 1
        self._statistics.padding_count += batch.num_padding
        for ticket, result in zip(batch.tickets, results, strict=True):
            self._leave(ticket, DONE, result)

    def fail(self, batch: Batch, now: float, error: BaseException) -> None:
        """The model has raised: every request of the batch ends with that error, and no other."""
        self._require_running(batch)
        if not isinstance(error, BaseException):
            raise InvalidType(rule_numbers_remedy("error must be an exception", repr(error), "pass what was raised"))
        self._end(batch, now)
        for ticket in batch.tickets:
            self._leave(ticket, FAILED, error)

    def close(self, now: float, *, drain: bool = True) -> None:
        """Take no more. Those who wait are sent as fast as anybody is free, without waiting for company, or all rejected.

        May be called again: a drain can be cut short, and nothing else changes.
        """
        self._move_to(now)
        self._expire(now)
        self.is_closed = True
        for ticket in [] if drain else list(self._line):
            self._line.remove(ticket)
            self._resolve(ticket, REJECTED, BatcherClosed("the batcher was closed while this request waited."))

    @property
    def statistics(self) -> Statistics:
        """What was counted so far; a copy."""
        counted = dict(vars(self._statistics), pending_request_count=len(self._line))
        return Statistics(**counted | {"request_failure": dict(self._statistics.request_failure)})

    def __repr__(self) -> str:
        state = f"{self.num_waiting} waiting, {len(self._running)} of {self.config.num_batch_threads} busy"
        return f"DynamicBatcher({state}{', closed' if self.is_closed else ''}; {self._num_tickets} requests so far)"

    def _send(self, tickets: list[Ticket], now: float) -> Batch:
        for ticket in tickets:
            self._line.remove(ticket)
            ticket.status, ticket.started_at = RUNNING, now
            self._statistics.queue_duration_us += now - ticket.submitted_at
        rows = sum(ticket.size for ticket in tickets)
        batch = Batch(self._num_batches, tuple(tickets), self.config.padded(rows), now)
        self._num_batches += 1
        self._running[batch.number] = batch
        if self.config.preserve_ordering:
            self._in_turn.extend(tickets)
        return batch

    def _end(self, batch: Batch, now: float) -> None:
        self._move_to(now)
        del self._running[batch.number]

    def _leave(self, ticket: Ticket, status: str, outcome: Any) -> None:
        """A request was computed. With its ordering preserved it leaves only after all that came before it."""
        if not self.config.preserve_ordering:
            self._resolve(ticket, status, outcome)
            return
        ticket.status, self._held[ticket.number] = HELD, (status, outcome)
        while self._in_turn and self._in_turn[0].number in self._held:
            first = self._in_turn.popleft()
            self._resolve(first, *self._held.pop(first.number))

    def _expire(self, now: float) -> None:
        for ticket in self._line.expire(now):
            waited = f"a request waited {now - ticket.submitted_at:g} µs in the queue, as long as it was allowed to."
            self._resolve(ticket, REJECTED, RequestTimedOut(waited))

    def _resolve(self, ticket: Ticket, status: str, outcome: Any) -> None:
        assert not ticket.has_ended, f"request {ticket.number} has ended before"
        ticket.status, ticket.ended_at = status, self.now
        ticket.value, ticket.error = (outcome, None) if status == DONE else (None, outcome)
        if status == DONE:
            self._statistics.request_success += 1
        else:
            reason = {REJECTED: "REJECTED", CANCELLED: "CANCELED", FAILED: "BACKEND"}[status]
            self._statistics.request_failure[reason] += 1
        if self._on_resolve is not None:
            self._on_resolve(ticket)

    def _move_to(self, now: float) -> None:
        if isinstance(now, bool) or not isinstance(now, int | float):
            raise InvalidType(rule_numbers_remedy("now must be a number of microseconds", repr(now), "read one clock"))
        if not math.isfinite(now) or now < self.now:
            rule = f"time must be finite and not run backwards: it was {self.now:g} µs"
            raise InvalidValue(rule_numbers_remedy(rule, repr(now), "read one clock, in the order of the calls"))
        self.now = now

    def _require_running(self, batch: Batch) -> None:
        if not isinstance(batch, Batch):
            raise InvalidType(rule_numbers_remedy("a batch must come from poll", repr(batch), "pass what poll gave"))
        if self._running.get(batch.number) is not batch:
            rule = "a batch ends once, where it began"
            raise InvalidValue(rule_numbers_remedy(rule, f"batch {batch.number}, which is not running here", "end each batch once"))  # fmt: skip
