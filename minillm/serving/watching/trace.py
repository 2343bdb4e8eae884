"""What one step of an engine did, as plain data: who was computed, how many tokens, in which blocks, and who had to wait.

An engine and a simulator write the same trace, so every picture works for both. No torch here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from minillm.serving.schedule.output import SchedulerOutput

ShareKind = Literal["prefill", "decode"]


class TracedShare(NamedTuple):
    """A request's part of a step: its tokens from position `start`, drafts included.

    "decode" when all its tokens but the last written one were computed before; "prefill" for a prompt or a piece of one,
    and for a text that was preempted and is computed anew.
    """

    request_id: str
    start: int
    num_tokens: int
    kind: ShareKind


@dataclass(frozen=True)
class StepTrace:
    """Step `index`, from `start` to `end` in seconds of the engine's clock.

    shares              what the pass computed, in order
    admitted            requests taken from the waiting, for the first time or again
    preempted           requests whose blocks were taken away
    finished            requests that ended in this step
    num_running         requests that hold blocks after the step
    num_waiting         requests that do not, after the step
    num_free_blocks     of the pool, after the step
    block_tables        for each share's request, the blocks that held its text during the pass
    num_padding_tokens  rows that were computed for nobody
    """

    index: int
    start: float
    end: float
    shares: tuple[TracedShare, ...] = ()
    admitted: tuple[str, ...] = ()
    preempted: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()
    num_running: int = 0
    num_waiting: int = 0
    num_free_blocks: int = 0
    block_tables: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    num_padding_tokens: int = 0

    @property
    def num_tokens(self) -> int:
        """Tokens computed, padding left out."""
        return sum(share.num_tokens for share in self.shares)


def trace_shares(output: SchedulerOutput) -> tuple[tuple[TracedShare, ...], dict[str, tuple[int, ...]]]:
    """The shares of a step and their block tables, as they are before it is computed."""
    shares, tables = [], {}
    for request, start, num_tokens, _, _ in output.shares:
        is_decode = request.num_output_tokens > 0 and start + 1 == request.num_tokens
        shares.append(TracedShare(request.request_id, start, num_tokens, "decode" if is_decode else "prefill"))
        assert request.table is not None
        tables[request.request_id] = tuple(request.table.block_ids)
    return tuple(shares), tables
