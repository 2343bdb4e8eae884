"""What passes through a dynamic batcher: a ticket for each request, a batch of tickets, and what was counted on the way.

A ticket says where its request stands and how it ended. It ends once.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from minillm.errors import InvalidValue, MinillmError

WAITING, DELAYED, RUNNING, HELD = "waiting", "delayed", "running", "held"
DONE, FAILED, REJECTED, CANCELLED = "done", "failed", "rejected", "cancelled"
ENDED = (DONE, FAILED, REJECTED, CANCELLED)


class BatcherClosed(InvalidValue):
    """The batcher is shutting down and takes no more, or turned away those who still waited."""


class RequestTimedOut(MinillmError, TimeoutError):
    """A request waited in the queue for as long as it was allowed to."""


@dataclass(eq=False)
class Ticket:
    """One request. Times are the caller's, in microseconds; None for what has not happened.

    size       rows it brings into a batch
    level      its priority, 1 first
    shape      only requests of equal shape share a batch
    deadline   when its time to wait runs out
    status     waiting, delayed (its time ran out, and it waits on), running, held (computed, and waits for its turn to
               leave), and at the end one of done, failed, rejected, cancelled
    value      what the model returned; `error` is what went wrong
    """

    number: int
    payload: Any
    size: int
    level: int
    shape: Hashable
    submitted_at: float
    deadline: float | None = None
    status: str = WAITING
    started_at: float | None = None
    ended_at: float | None = None
    value: Any = None
    error: BaseException | None = None

    @property
    def is_waiting(self) -> bool:
        """In the queue, in time or late."""
        return self.status in (WAITING, DELAYED)

    @property
    def has_ended(self) -> bool:
        """It was answered, in one way or another."""
        return self.status in ENDED


@dataclass(frozen=True, eq=False)
class Batch:
    """Requests to be computed together: `size` rows of theirs, run as `padded_size` rows."""

    number: int
    tickets: tuple[Ticket, ...]
    padded_size: int
    started_at: float

    @property
    def size(self) -> int:
        """Rows that somebody asked for."""
        return sum(ticket.size for ticket in self.tickets)

    @property
    def num_padding(self) -> int:
        """Rows that nobody asked for."""
        return self.padded_size - self.size

    @property
    def payloads(self) -> list[Any]:
        """What the requests brought, in order."""
        return [ticket.payload for ticket in self.tickets]


@dataclass
class Statistics:
    """Counted since the start, under Triton's names (nv_inference_…), padding added. Requests, unless it says rows.

    inference_count         rows computed for requests that succeeded
    execution_count         batches that succeeded
    request_success         and `request_failure`, by reason: REJECTED (no room, too late, closing), CANCELED, BACKEND
    queue_duration_us       waiting time of all that were sent, added up
    pending_request_count   waiting now
    padding_count           rows that nobody asked for, in batches that succeeded
    """

    inference_count: int = 0
    execution_count: int = 0
    request_success: int = 0
    request_failure: dict[str, int] = field(default_factory=lambda: {"REJECTED": 0, "CANCELED": 0, "BACKEND": 0})
    queue_duration_us: float = 0
    pending_request_count: int = 0
    padding_count: int = 0

    @property
    def mean_batch_size(self) -> float:
        """Rows a batch, on average; 0 before the first."""
        return self.inference_count / self.execution_count if self.execution_count else 0.0
