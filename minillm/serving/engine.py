"""An engine that writes many texts at once: requests come and go between steps, and every step is one pass over all of them.

A step asks the scheduler whose tokens to compute, computes them together, chooses the next token of each text, and hands out
what may be shown. Prompts and single tokens share a pass, so nobody waits for a batch to end. One text is the same alone, in
company, after its memory was taken away, and with drafts: each choice depends on its own scores and its own noise only.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from minillm.cache.prefix import PrefixCache
from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_switch
from minillm.model.decoder import Decoder
from minillm.model.tokenizer import Tokenizer
from minillm.serving.asking.engine_options import engine_cache, require_parts, scheduler_config, steady
from minillm.serving.asking.prompts import Prompt, ReadPrompt, read_prompt, require_params, require_possible
from minillm.serving.compute.worker import Worker
from minillm.serving.metrics import EngineMetrics
from minillm.serving.outputs import RequestOutput, TextChunk
from minillm.serving.request import Request
from minillm.serving.sampling_params import SamplingParams
from minillm.serving.scheduler import Scheduler
from minillm.serving.speculation.drafts import Proposer, as_proposer
from minillm.serving.speculation.guesses import Guesses
from minillm.serving.watching.trace import StepTrace, trace_shares
from minillm.serving.writing.answer import Answer
from minillm.serving.writing.answers import Answers
from minillm.serving.writing.step import settle, write


class LLMEngine:
    """A model and its tokenizer -> `add_request`, `step` until nothing `has_unfinished`, `abort`, `output`.

    block_size      tokens in a block of the cache
    num_blocks      blocks of the cache; by default, on a CPU, as many as `max_num_seqs` texts of full length need, but at
                    most 1 GiB of them and at least one text; elsewhere at most 80 % of the memory that is free
    weights         how a processor has them laid out, by a name of packed_linear.LAYOUTS; "auto" is the quickest that is as exact
    speculative     "ngram", "draft" or a Proposer: guesses ahead, which change how long a text takes and never the text
    cuda_graphs     on a GPU: record the steps in which every text brings one token when the engine is built, and replay them
    clock           seconds, for times and traces; where it goes back, time stands still
    new_seed        a seed for a request that names none
    check           poison freed blocks, and assert what must hold at every step: for tests, slow
    on_step         called with a StepTrace after every step; what it raises comes through, and loses no chunk
    rules           fields of SchedulerConfig, such as max_num_batched_tokens, max_num_seqs, policy, enable_prefix_caching

    Without a tokenizer prompts are token ids and texts are empty. Raises InvalidType or InvalidValue for options outside
    their rule, and Unsupported for CUDA graphs where there can be none. Not for several threads at once; AsyncLLM is. After
    vLLM's engine.

    "The same" is up to rounding: a product of matrices may add in another order for another number of rows, so where two
    tokens score alike to the last bits, company can decide between them. In float64 that does not happen in practice.
    """

    def __init__(
        self,
        model: Decoder,
        tokenizer: Tokenizer | None = None,
        *,
        block_size: int = 16,
        num_blocks: int | None = None,
        weights: str = "auto",
        speculative: str | Proposer | None = None,
        cuda_graphs: bool = False,
        clock: Callable[[], float] = time.perf_counter,
        new_seed: Callable[[], int] = lambda: secrets.randbits(63),
        check: bool = False,
        on_step: Callable[[StepTrace], None] | None = None,
        **rules: Any,
    ):
        require_switch(cuda_graphs=cuda_graphs)
        require_parts(model, tokenizer, clock, new_seed, on_step)
        config = scheduler_config(model, rules)
        self.model, self.tokenizer = model, tokenizer
        self.cache = engine_cache(model, config, block_size, num_blocks, check)
        prefix = PrefixCache(self.cache.pool, check=check) if config.enable_prefix_caching else None
        self.scheduler = Scheduler(self.cache.pool, config, prefix=prefix, check=check)
        blocks = self.cache.pool.num_blocks
        self.metrics, self.on_step, self.num_steps = EngineMetrics(blocks), on_step, 0
        self.worker, self._new_seed, self._now = Worker(model, self.cache, weights), new_seed, steady(clock)
        if cuda_graphs:
            self.worker.record_decoding(config.num_seats, config.max_model_len or model.config.max_position_embeddings)
        self.answers = Answers()
        proposer = as_proposer(speculative, model, num_blocks=blocks, block_size=block_size)
        self.guesses = None if proposer is None else Guesses(proposer, self.answers.texts, model.config.vocab_size)
        self.unread: list[TextChunk] = []  # chunks of a step whose listener raised: the next step hands them out
        self._unwanted: list[str] = []
        self._is_stepping = False

    @property
    def proposer(self) -> Proposer | None:
        """Who guesses ahead, if anybody does."""
        return None if self.guesses is None else self.guesses.proposer

    @property
    def num_failed_proposals(self) -> int:
        """How often the proposer raised: its drafts were then done without."""
        return 0 if self.guesses is None else self.guesses.num_failed

    @property
    def has_unfinished(self) -> bool:
        """Whether any text is still to be written, or to be handed out."""
        return bool(self.answers.live or self.unread)

    def read(self, prompt: Prompt, params: SamplingParams | None = None) -> ReadPrompt:
        """A prompt as `add` takes it. Raises what `add_request` raises for prompt and parameters, but for want of blocks."""
        params = params if params is not None else SamplingParams()
        require_params(params)
        ids = read_prompt(prompt, self.tokenizer, self.model.config.vocab_size)
        require_possible(len(ids), params, self.tokenizer, self.model.config)
        return ReadPrompt(prompt if isinstance(prompt, str) else None, ids)

    def add_request(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        request_id: str | None = None,
        priority: int = 0,
        salt: str | None = None,
    ) -> str:
        """Let a prompt, text or token ids, be answered from the next step on -> its request id.

        `priority` counts where the order is "priority": lower is sooner. Texts of different `salt` never share what was
        computed. Raises InvalidType or InvalidValue for a prompt or parameters that this model or its cache cannot do, and
        for an id that is in use; QueueFull when no more may wait. Nothing has then changed.
        """
        params = params if params is not None else SamplingParams()
        return self.add(self.read(prompt, params), params, request_id=request_id, priority=priority, salt=salt)

    def add(
        self,
        prompt: ReadPrompt,
        params: SamplingParams,
        *,
        request_id: str | None = None,
        priority: int = 0,
        salt: str | None = None,
    ) -> str:
        """`add_request` for a prompt that was read with these parameters."""
        names = self.answers.name(request_id, params.n)
        seed = self._new_seed() if params.seed is None else params.seed
        answer = Answer(names, *prompt, params, seed)
        ends, now = self.model.config.eos_token_ids, self._now()
        requests = answer.begin(self.tokenizer, ends, priority=priority, salt=salt, arrival_time=now)
        self._schedule_all(requests)
        self.answers.add(answer)
        for request in requests:
            self.metrics.add(request)
        return answer.request_id

    def step(self) -> list[TextChunk]:
        """Schedule, compute and choose once -> what each text gained, in the order of the pass; nothing if there is no work.

        A text whose computation raises ends with reason "error", and its last chunk says why; the others go on unchanged.
        Only an interruption (KeyboardInterrupt, say) comes through, and the texts of that step are then aborted. Raises
        InvalidValue when it is called within a step, by a listener, say.
        """
        if self._is_stepping:
            rule, remedy = "an engine makes one step at a time", "ask again when it is over"
            raise InvalidValue(rule_numbers_remedy(rule, "a step within a step", remedy))
        self._is_stepping = True
        try:
            self._step()
            chunks, self.unread = self.unread, []
            return chunks
        finally:
            self._is_stepping = False

    def _step(self) -> None:
        start = self._now()
        while self._unwanted:
            self.discard(self._unwanted.pop())
        if self.guesses is not None:
            self.guesses.propose(self.scheduler.running)
        output = self.scheduler.schedule()
        if not output.shares:
            return
        shares, tables = trace_shares(output) if self.on_step is not None else ((), {})
        try:
            written = write(self.worker.run(output, self.answers.texts), self.answers.texts)
            settle(self.scheduler, output, written, self.answers.texts)
        except BaseException:
            self._abort([share.request.request_id for share in output.shares])
            if self.scheduler.step_in_flight():
                self.scheduler.update(output, {})
            raise
        self._forget(output.preempted, written.ended)
        self.unread += written.chunks
        scheduler = self.scheduler
        trace = StepTrace(
            self.num_steps, start, self._now(), shares, output.admitted, output.preempted, tuple(written.ended),
            scheduler.num_running, scheduler.num_waiting, self.cache.pool.num_free, tables, output.num_padding_tokens,
        )  # fmt: skip
        self.num_steps += 1
        self.metrics.observe(trace, written.tokens)
        if self.on_step is not None:
            self.on_step(trace)

    def abort(self, request_id: str) -> None:
        """Write no more of a request; what is written stays in its output. Raises InvalidValue for one that is unknown or has
        ended, and while a step is computed."""
        if self.scheduler.step_in_flight():
            rule, remedy = "a request is aborted between two steps", "use discard_later"
            raise InvalidValue(rule_numbers_remedy(rule, f"{request_id!r:.60} in the middle of one", remedy))
        texts = self.answers.find_live(request_id).texts
        self._abort([text.request.request_id for text in texts if not text.request.is_finished])

    def output(self, request_id: str) -> RequestOutput:
        """What is written for a request, finished or not. Raises InvalidValue for one that is unknown or long forgotten: the
        last 1,000 that ended are remembered."""
        return self.answers.find(request_id).output()

    def discard(self, request_id: str) -> None:
        """Abort a request if it is still written, and forget it. Nothing happens for one that is unknown."""
        if request_id in self.answers.live:
            self.abort(request_id)
        self.answers.done.pop(request_id, None)

    def discard_later(self, request_id: str) -> None:
        """`discard` before the next step: may be called at any moment, from any thread."""
        self._unwanted.append(request_id)

    def __repr__(self) -> str:
        state = f"{self.scheduler.num_running} running, {self.scheduler.num_waiting} waiting"
        return f"LLMEngine({state}, step {self.num_steps}, {self.cache.pool!r})"

    def _schedule_all(self, requests: Sequence[Request]) -> None:
        """All or none."""
        added = 0
        try:
            for request in requests:
                self.scheduler.add(request)
                added += 1
        except Exception:
            for request in requests[:added]:
                self.scheduler.finish(request.request_id, "abort")
            raise

    def _forget(self, preempted: Iterable[str], ended: Iterable[str]) -> None:
        """Texts that lost their memory, and texts that have ended."""
        if self.guesses is not None:
            self.guesses.forget(self.answers.texts[name].request for name in (*preempted, *ended))
        for name in ended:
            self.answers.retire(name)

    def _abort(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self.scheduler.requests:  # an interruption may come when it has just been ended
                self.scheduler.finish(name, "abort")
            self.metrics.finish(name)
        self._forget((), names)
