"""The scheduler: in each step, which texts compute how many tokens, in which blocks.

Every request has tokens that are known and tokens that are computed, and a step lets some catch up: prompts, decodes, and
texts that start over are the same thing. Running texts go first, in order; then waiting ones are let in while tokens, seats
and blocks are left. When blocks run out, the newest running text gives all of its own back and waits, keeping what it wrote.

Progress. Running texts are served in order and victims are taken from the end, so the first of all is never one; alone it
always fits, for `add` refuses what does not. So while anything runs, the first gets at least one token in each step (under
`prefill_first`, in each step without prompts), and ends after finitely many; if nothing runs, the first in line is let in,
because it waits for nobody. Hence everybody ends, provided that arrivals end, or that newer ones don't go before. Under
`budget` and `splitfuse` more is true: each share leaves a token for every running text behind it, so a decoding text that is
not preempted gets a token in every step, whoever arrives.

No torch here: this is tested on thousands of workloads, and runs where no model does. After vLLM's scheduler, version 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from minillm.cache.block_pool import BlockPool, OutOfBlocks
from minillm.cache.prefix import KeptTexts
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy, unknown_name
from minillm.serving.outputs import FinishReason, QueueFull
from minillm.serving.request import Request
from minillm.serving.schedule.config import SchedulerConfig
from minillm.serving.schedule.output import SchedulerOutput, Share
from minillm.serving.schedule.policies import POLICIES
from minillm.serving.schedule.step import ScheduleStep
from minillm.serving.schedule.text_memory import TextMemory
from minillm.serving.schedule.waiting_line import WaitingLine

__all__ = ["QueueFull", "Scheduler", "SchedulerConfig", "SchedulerOutput", "Share"]

REASONS = ("stop", "length", "abort", "error")


class Scheduler:
    """Requests over one pool of blocks, a step at a time: `schedule`, run the step, `update`.

    `prefix` finds what was computed for other texts; None, or enable_prefix_caching=False, finds nothing. With `check`, all
    that must hold is asserted after every call. Raises InvalidType or InvalidValue, and QueueFull, with nothing changed.

    requests  every request that has not finished, by id
    running   those that have blocks, in order
    """

    def __init__(
        self, pool: BlockPool, config: SchedulerConfig, *, prefix: KeptTexts | None = None, check: bool = False
    ):
        if not isinstance(config, SchedulerConfig):
            raise InvalidType(rule_numbers_remedy("config must be a SchedulerConfig", repr(config), "make one"))
        if not isinstance(pool, BlockPool):
            raise InvalidType(rule_numbers_remedy("a scheduler needs a BlockPool", repr(pool), "pass the cache's pool"))
        if prefix is not None and (not isinstance(prefix, KeptTexts) or prefix.pool is not pool):
            rule = "a scheduler's prefix cache is one of its own pool"
            raise InvalidValue(rule_numbers_remedy(rule, repr(prefix), "make PrefixCache(pool)"))
        self.config, self.is_checking = config, check
        self.memory = TextMemory(pool, prefix if config.enable_prefix_caching else None)
        self.requests: dict[str, Request] = {}
        self.running: list[Request] = []
        # In a static batch all are computed side by side, so nobody waits for another's prompt.
        self.waiting = WaitingLine(by_priority=config.order == "priority", parks=config.policy != "static")
        self.num_rows = 0  # of the static batch
        self._num_added = 0
        self._step: SchedulerOutput | None = None  # scheduled, and not updated yet

    @property
    def num_running(self) -> int:
        """How many texts have blocks."""
        return len(self.running)

    @property
    def num_waiting(self) -> int:
        """How many requests wait, for the first time or again."""
        return len(self.waiting)

    @property
    def has_unfinished(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.requests)

    def add(self, request: Request) -> None:
        """A request waits from now on.

        Raises InvalidValue for one that was added before, whose id is in use, or that could never be finished here: longer
        than the model or the pool, or a prompt longer than a step where prompts may not be cut. QueueFull when too many wait.
        """
        self._require_possible(request)
        limit = self.config.max_num_waiting
        if limit is not None and self.num_waiting >= limit:
            rule = f"at most {limit} requests may wait"
            raise QueueFull(rule_numbers_remedy(rule, "one more", "try again later, or raise max_num_waiting"))
        request.arrival = self._num_added
        self._num_added += 1
        parent = request.parent
        if parent is not None and self.requests.get(parent.request_id) is not parent:
            request.parent = None  # not here, or not any more
        self.requests[request.request_id] = request
        self.waiting.push(request)

    def schedule(self) -> SchedulerOutput:
        """-> the next step, the tables extended for it; make its copies, compute its shares, then call `update`.

        Raises InvalidValue while a step is not updated, and OutOfBlocks when nothing can be computed because blocks are held
        by somebody else.
        """
        if self._step is not None:
            rule, remedy = "a step must be updated before the next", "call update with what was chosen"
            raise InvalidValue(rule_numbers_remedy(rule, "one that was not", remedy))
        step = ScheduleStep(self)
        POLICIES[self.config.policy](step)
        if self.requests and not step.shares:
            pool = self.memory.pool
            rule = f"a request that fits {pool.num_blocks} blocks can run alone"
            raise OutOfBlocks(rule_numbers_remedy(rule, f"{pool.num_free} free blocks", "free or unpin the others"))
        output = step.output()
        self._step = output if output.shares else None
        self._check()
        return output

    def update(self, output: SchedulerOutput, sampled: Mapping[str, Sequence[int]]) -> list[Request]:
        """A step was computed; by request id, the tokens that were chosen -> the requests that finished by a token.

        Every share that samples has 1 … num_drafts + 1 tokens: the accepted drafts, and the one chosen behind them. Shares of
        requests that have finished meanwhile are ignored. Raises InvalidValue for another step's output and for tokens that
        don't pair up with the shares.
        """
        if output is None or output is not self._step:
            if isinstance(output, SchedulerOutput) and not output.shares:
                return []
            rule = "only the step that was scheduled last can be updated, and once"
            raise InvalidValue(rule_numbers_remedy(rule, "another", "pass that one"))
        output.require_tokens(sampled)
        self._step = None
        finished: list[Request] = []
        for share in output.shares:
            request = share.request
            if request.finish_reason is not None:
                continue
            if share.samples:
                self._write(share, sampled[request.request_id])
            else:
                request.num_computed_tokens = share.start + share.num_tokens
            self.memory.publish(request)
            if request.finish_reason is not None:
                finished.append(request)
        self._remove(finished)
        self._release_children()
        self._check()
        return finished

    def finish(self, request_id: str, reason: FinishReason) -> Request:
        """End a request now, also between `schedule` and `update` -> the request, its blocks given back.

        Raises InvalidValue for an id that is unknown or finished, and for an unknown reason.
        """
        if reason not in REASONS:
            raise unknown_name("reason", reason, REASONS)
        request = self.requests.get(request_id) if isinstance(request_id, str) else None
        if request is None:
            rule = "only a request that was added and has not finished can be finished"
            raise InvalidValue(rule_numbers_remedy(rule, repr(request_id), "see scheduler.requests"))
        request.finish_reason = reason
        self._remove([request])
        self._check()
        return request

    def check(self, others: Iterable[Sequence[int]] = ()) -> None:
        """Assert all that must hold between calls; `others` are blocks that somebody else holds in the same pool."""
        from minillm.serving.schedule.check import check_scheduler

        check_scheduler(self, others)

    def step_in_flight(self) -> tuple[Share, ...]:
        """The shares of a step that is scheduled and not updated yet."""
        return self._step.shares if self._step is not None else ()

    def __repr__(self) -> str:
        return f"Scheduler({self.num_running} running, {self.num_waiting} waiting, {self.memory.pool})"

    def _check(self) -> None:
        if self.is_checking:
            self.check()

    def _write(self, share: Share, tokens: Sequence[int]) -> None:
        """Put the chosen tokens behind a text, up to one that ends it; the guesses that were wrong are cut off."""
        request = share.request
        for token in tokens:
            request.token_ids.append(token)
            written = request.num_output_tokens
            if token in request.stop_token_ids and written >= request.min_tokens:
                request.finish_reason = "stop"
            elif written >= request.max_tokens:
                request.finish_reason = "length"
            if request.finish_reason is not None:
                break
        # Its last token was chosen, and not computed.
        request.num_computed_tokens = len(request.token_ids) - 1
        if share.num_drafts:
            assert request.table is not None
            request.table.truncate(request.num_computed_tokens)
            request.draft_token_ids = []

    def _remove(self, finished: list[Request]) -> None:
        """Requests that have a reason to end leave."""
        for request in finished:
            del self.requests[request.request_id]
            if request.status == "waiting":
                self.waiting.drop(request)
            request.status, request.draft_token_ids = "finished", []
            self.memory.close(request)
            self.waiting.release(request)
        if finished:
            self.running = [request for request in self.running if request.status == "running"]

    def _release_children(self) -> None:
        """Children whose parent's prompt is computed now join the line."""
        for parent_id in list(self.waiting.parked):
            parent = self.requests[parent_id]
            if parent.num_computed_tokens >= parent.num_prompt_tokens:
                self.waiting.release(parent)

    def _require_possible(self, request: Request) -> None:
        if not isinstance(request, Request):
            raise InvalidType(rule_numbers_remedy("a scheduler takes Requests", repr(request), "make one"))
        if request.arrival >= 0 or request.request_id in self.requests:
            rule = "a request is added once, under an id of its own"
            raise InvalidValue(rule_numbers_remedy(rule, repr(request.request_id), "make another request"))
        config, needed = self.config, request.most_tokens
        numbers = f"{request.num_prompt_tokens} + {request.max_tokens} - 1"
        if config.max_model_len is not None and needed > config.max_model_len:
            rule = f"prompt and max_tokens must fit the model's {config.max_model_len} positions"
            raise InvalidValue(rule_numbers_remedy(rule, numbers, "shorten the prompt, or ask for fewer tokens"))
        blocks, size = self.memory.capacity, self.memory.pool.block_size
        if self.memory.most_blocks(request) > blocks:
            rule = f"prompt and max_tokens must fit the pool's {blocks} blocks of {size} tokens"
            raise InvalidValue(rule_numbers_remedy(rule, numbers, "ask for fewer tokens, or make a larger pool"))
        if not config.cuts_prompts and request.num_prompt_tokens > config.max_num_batched_tokens:
            rule = f"a prompt that may not be cut must fit a step of {config.max_num_batched_tokens} tokens"
            raise InvalidValue(
                rule_numbers_remedy(rule, str(request.num_prompt_tokens), "raise max_num_batched_tokens")
            )
