"""A dynamic batcher on a real clock: callers in any thread get futures, one thread forms batches, others run the model.

All decisions are the core's (`dynamic_batcher`); what is here is a lock around it, somebody who wakes at the time it names,
and the futures. Nobody is called while the lock is held, neither the model nor a future's callbacks.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from minillm.errors import InvalidType, rule_numbers_remedy
from minillm.serving.batching.config import DynamicBatcherConfig
from minillm.serving.batching.ticket import DONE, Batch, Statistics, Ticket
from minillm.serving.dynamic_batcher import DynamicBatcher


def monotonic_microseconds() -> int:
    """The clock a `ThreadedBatcher` reads unless it is given another."""
    return time.monotonic_ns() // 1000


class ThreadedBatcher:
    """A model behind a `DynamicBatcher`: `model(batch) -> [result for each ticket]` runs on `num_batch_threads` threads.

    with ThreadedBatcher(model, config) as batcher:
        answer = batcher.submit(payload).result()

    The model reads `batch.payloads` and makes up `batch.num_padding` rows. What it raises ends that batch's futures, and no
    others. Leaving the `with` drains. A future that is cancelled while its batch is already being computed ends as cancelled,
    and its row is computed in vain. A future's callbacks run on the batcher's threads: they may submit, and must not wait.
    """

    def __init__(
        self,
        model: Callable[[Batch], Sequence[Any]],
        config: DynamicBatcherConfig,
        *,
        clock: Callable[[], float] = monotonic_microseconds,
    ):
        for name, value in (("model", model), ("clock", clock)):
            if not callable(value):
                raise InvalidType(rule_numbers_remedy(f"{name} must be a function", repr(value), "pass a callable"))
        self._model, self._read_clock, self._time = model, clock, -math.inf
        self._ended: deque[Ticket] = deque()
        self._core = DynamicBatcher(config, on_resolve=self._ended.append)
        self._futures: dict[Ticket, Future[Any]] = {}
        self._changed = threading.Condition()
        self._handing_out = threading.RLock()  # a callback may submit, and so come here again
        self._work: SimpleQueue[Batch | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._form_batches, name="batcher", daemon=True)]
        for number in range(config.num_batch_threads):
            self._threads.append(threading.Thread(target=self._run_batches, name=f"batch {number}", daemon=True))
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        payload: Any,
        *,
        size: int = 1,
        priority: int | None = None,
        timeout_microseconds: int | None = None,
        shape: Hashable = None,
    ) -> Future[Any]:
        """Let a request wait -> its future, which resolves once: result, error, timeout, cancelled or closed.

        Raises at once what `DynamicBatcher.submit` raises.
        """
        options = dict(size=size, priority=priority, timeout_microseconds=timeout_microseconds, shape=shape)
        future: Future[Any] = Future()
        try:
            with self._changed:
                ticket = self._core.submit(payload, self._clock(), **options)  # type: ignore[arg-type]
                self._futures[ticket] = future
                self._changed.notify()
        finally:
            self._hand_out()
        future.add_done_callback(lambda done: self._take_back(ticket) if done.cancelled() else None)
        return future

    def close(self, *, drain: bool = True, timeout: float | None = None) -> bool:
        """Take no more; compute those who wait, or reject them -> whether all threads ended within `timeout` seconds."""
        with self._changed:
            self._core.close(self._clock(), drain=drain)
            self._changed.notify()
        self._hand_out()
        until = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads if thread is not threading.current_thread())

    @property
    def statistics(self) -> Statistics:
        """What was counted so far; a copy."""
        with self._changed:
            return self._core.statistics

    def __enter__(self) -> ThreadedBatcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ThreadedBatcher({self._core!r})"

    def _clock(self) -> float:
        """Where the clock goes back, time stands still. To be called with the lock held."""
        self._time = max(self._time, self._read_clock())
        return self._time

    def _form_batches(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._hand_out()
            for ticket in batch.tickets:
                self._futures[ticket].set_running_or_notify_cancel()
            self._work.put(batch)
        self._hand_out()
        for _ in self._threads[1:]:
            self._work.put(None)

    def _next_batch(self) -> Batch | None:
        """Sleep until there is a batch; None when the batcher is closed and empty."""
        while True:
            with self._changed:
                decision = self._core.poll(self._clock())
                if isinstance(decision, Batch):
                    return decision
                if self._core.is_closed and self._core.is_idle:
                    return None
                if not self._ended:
                    # The lock is held since the question was asked, so nothing can change between answer and sleep.
                    self._changed.wait(None if decision is None else max(0.0, decision - self._clock()) / 1e6)
            self._hand_out()

    def _run_batches(self) -> None:
        while (batch := self._work.get()) is not None:
            try:
                results, error = self._model(batch), None
            except BaseException as raised:
                results, error = (), raised
            with self._changed:
                if error is None:
                    self._core.complete(batch, self._clock(), results)
                else:
                    self._core.fail(batch, self._clock(), error)
                self._changed.notify()
            self._hand_out()

    def _take_back(self, ticket: Ticket) -> None:
        with self._changed:
            if ticket.is_waiting:
                self._core.cancel(ticket, self._clock())
                self._changed.notify()
        self._hand_out()

    def _hand_out(self) -> None:
        """Tell the futures of all tickets that have ended, in the order they did. Not to be called with the lock held."""
        with self._handing_out:
            while self._ended:
                ticket = self._ended.popleft()
                future = self._futures.pop(ticket)
                # A future that was never sent may be cancelled at this very moment: whoever comes first wins.
                never_sent = ticket.started_at is None
                if not future.set_running_or_notify_cancel() if never_sent else future.cancelled():
                    continue
                try:
                    if ticket.status == DONE:
                        future.set_result(ticket.value)
                    else:
                        future.set_exception(ticket.error)
                except BaseException:  # a callback's sys.exit, say: it must not end a thread that others wait for
                    if threading.current_thread() not in self._threads:
                        raise
