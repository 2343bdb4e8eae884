"""One step in the making: shares are given out until tokens, seats or blocks run out.

Running texts are served in order. When blocks lack, the last one that was not served yet loses all of its blocks and goes
back to wait, which may be the very text that asked. Then nobody is let in: what the running lack the waiting don't get.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from typing import TYPE_CHECKING

from minillm.cache.block_table import BlockTable
from minillm.serving.request import Request
from minillm.serving.schedule.output import SchedulerOutput, Share

if TYPE_CHECKING:
    from minillm.serving.scheduler import Scheduler


class ScheduleStep:
    """What a policy works with. Its tables are extended, and texts change between running and waiting, as it goes."""

    def __init__(self, scheduler: Scheduler):
        self.scheduler, self.config, self.memory = scheduler, scheduler.config, scheduler.memory
        self.pool = scheduler.memory.pool
        self.running, self.waiting = scheduler.running, scheduler.waiting
        self.tokens_left = scheduler.config.max_num_batched_tokens
        self.shares: list[Share] = []
        self.copies: list[tuple[int, int]] = []
        self.admitted: list[str] = []
        self.preempted: list[str] = []
        self.num_padding_tokens = 0
        self._served: set[str] = set()
        self._blocks_lack = False

    def output(self) -> SchedulerOutput:
        """The step as it is to be run."""
        return SchedulerOutput(
            tuple(self.shares),
            tuple(self.copies),
            tuple(self.admitted),
            tuple(self.preempted),
            self.num_padding_tokens,
        )

    def serve(self, requests: Iterable[Request]) -> None:
        """Give these running texts their shares, in this order. Each leaves a token for everyone behind it, if there is one."""
        line = list(requests)
        behind = len(line)
        for request in line:
            behind -= 1
            if request.status == "running" and self.tokens_left:
                self._serve(request, max(1, self.tokens_left - behind))

    def admit(self, *, whole: bool = False) -> None:
        """Let waiting texts in, in order, up to the first for which there is no room.

        `whole`: blocks for all that is known of it must be free, though only a part may be computed now.
        """
        while self.tokens_left > 0 and not self._blocks_lack and len(self.running) < self.config.num_seats:
            request = self.waiting.first()
            if request is None or not self._admit(request, whole):
                return

    def begin_batch(self) -> None:
        """All who run now are one batch; a row stays in it until the last has ended."""
        self.scheduler.num_rows = len(self.running)

    def pad(self) -> None:
        """Every row of the batch is as long as the longest, also those that have ended."""
        longest = max((share.num_tokens for share in self.shares), default=0)
        self.num_padding_tokens = self.scheduler.num_rows * longest - sum(share.num_tokens for share in self.shares)

    def _serve(self, request: Request, most: int) -> None:
        table = request.table
        assert table is not None
        known = len(request.token_ids) - request.num_computed_tokens
        count, drafts = self._cut(known, most), 0
        if count == known and request.draft_token_ids:
            drafts = self._drafts(request, most - count)
        if table.append_in_place(count + drafts):
            self._give(request, count, drafts)
        else:
            self._serve_blocks(request, table, count, drafts)

    def _serve_blocks(self, request: Request, table: BlockTable, count: int, drafts: int) -> None:
        """A share that needs blocks: first the free ones, then those of whoever is last. No block is taken for a guess."""
        while drafts and table.blocks_needed(count + drafts) > self.pool.num_free:
            drafts -= 1
        if self._make_room(request, table, count + drafts):
            self.copies += table.append(count + drafts)
            self._give(request, count, drafts)

    def _give(self, request: Request, count: int, drafts: int) -> None:
        start = request.num_computed_tokens
        if request.draft_token_ids:
            del request.draft_token_ids[drafts:]
        samples = start + count == len(request.token_ids)
        self.shares.append(Share(request, start, count + drafts, drafts, samples))
        self._served.add(request.request_id)
        self.tokens_left -= count + drafts

    def _cut(self, known: int, most: int) -> int:
        """How many of the known tokens are computed, of `most` the step has."""
        threshold = self.config.long_prefill_token_threshold
        if threshold is not None and self.config.cuts_prompts:
            known = min(known, threshold)
        return min(known, most)

    def _drafts(self, request: Request, most: int) -> int:
        """How many drafts are verified: no more than may still be written besides the token that is chosen anyway."""
        left = request.max_tokens - request.num_output_tokens - 1
        return max(0, min(len(request.draft_token_ids), most, left))

    def _make_room(self, request: Request, table: BlockTable, count: int) -> bool:
        """Take blocks from the last that are not served yet until `count` more tokens fit -> whether they do."""
        while table.blocks_needed(count) > self.pool.num_free:
            self._blocks_lack = True
            victim = next(r for r in reversed(self.running) if r.request_id not in self._served)
            if victim is request and request is not self.running[-1]:
                return False  # those behind it are served already, so it keeps its blocks and is left out of this step
            self._preempt(victim)
            if victim is request:
                return False
        return True

    def _preempt(self, request: Request) -> None:
        """A text loses its blocks and waits; what it has written it keeps, and reads again when it is let in."""
        self.running.remove(request)
        request.status, request.num_computed_tokens, request.draft_token_ids = "waiting", 0, []
        request.num_preemptions += 1
        self.memory.close(request)
        self.waiting.push(request)
        self.preempted.append(request.request_id)

    def _admit(self, request: Request, whole: bool) -> bool:
        if self.config.memory == "reserve" and not self._never_runs_out(request):
            return False
        beginning = self.memory.find(request)
        known = request.num_tokens - beginning.length
        count = self._cut(known, self.tokens_left)
        # A text that came back longer than a whole step has to be cut, allowed or not.
        if count < known <= self.config.max_num_batched_tokens and not self.config.cuts_prompts:
            return False
        needed, owed = (request.num_tokens, self._blocks_owed()) if whole else (beginning.length + count, 0)
        if not self.memory.open(request, beginning, needed, owed):
            return False
        self.waiting.pop()
        request.status = "running"
        if not request.num_preemptions:
            request.num_cached_tokens = beginning.length
        insort(self.running, request, key=self.waiting.key)
        self.admitted.append(request.request_id)
        request.draft_token_ids = []
        assert request.table is not None
        self.copies += request.table.append(count)
        self._give(request, count, 0)
        return True

    def _never_runs_out(self, request: Request) -> bool:
        """Whether all running texts and this one can be written to their ends, sharing nothing."""
        needed = sum(self.memory.most_blocks(other) for other in self.running)
        return needed + self.memory.most_blocks(request) <= self.memory.capacity

    def _blocks_owed(self) -> int:
        """How many blocks the prompts that were cut in this step still need."""
        size, cut = self.pool.block_size, (share.request for share in self.shares if not share.samples)
        return sum(-(-r.num_tokens // size) - len(r.table.block_ids) for r in cut if r.table is not None)
