"""What must hold between any two calls of a scheduler, asserted all at once: for tests, and for an engine that checks itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minillm.serving.scheduler import Scheduler


def check_scheduler(scheduler: Scheduler, others: Iterable[Sequence[int]] = ()) -> None:
    """Raise AssertionError unless requests, line, tables and pool agree. `others`: blocks held by somebody else."""
    running, config, memory = scheduler.running, scheduler.config, scheduler.memory
    waiting = scheduler.waiting.requests()
    assert len(running) <= config.num_seats, f"{len(running)} texts run in {config.num_seats} seats"
    assert len(scheduler.waiting) == len(waiting), "the line is not as long as it says"
    everyone = sorted(r.request_id for r in running + waiting)
    assert everyone == sorted(scheduler.requests), "a request is lost, or in two places"
    assert running == sorted(running, key=scheduler.waiting.key), "the running are out of order"
    scheduled = {s.request.request_id: s for s in scheduler.step_in_flight()}
    for request in waiting:
        assert request.status == "waiting" and request.table is None and request.num_computed_tokens == 0
    for request in running:
        assert request.status == "running" and request.table is not None and not request.table.is_free
        share = scheduled.get(request.request_id)
        length = request.num_computed_tokens + (share.num_tokens if share else 0)
        assert request.table.length == length, f"{request} has a table for {request.table.length} tokens, not {length}"
        assert len(request.table.block_ids) == -(-length // memory.pool.block_size), "more blocks than it needs"
        assert request.num_computed_tokens < request.num_tokens, f"{request} has nothing left to compute"
    holders = [r.table.block_ids for r in running if r.table is not None]
    if memory.prefix is not None:
        memory.prefix.check()
        holders += memory.prefix.pinned
    memory.pool.check([*holders, *others])
