"""Beam search over a paged cache: beams that begin alike share the blocks of their beginning, so a fork costs nothing.

All beams of all prompts go through one pass a step. Then every search says which beams are copied and which dropped: the
first child of a beam takes its table over, the others fork it, and a beam without a child gives its blocks back. Only a
half-full last block is ever copied, when one of two beams writes into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import NamedTuple

import torch
from torch import Tensor

from minillm.cache.block_table import BlockTable
from minillm.cache.fit import require_fit
from minillm.cache.paged import PagedCache
from minillm.decoding.beam import BeamRules, BeamState, Hypothesis, advance, best_continuations
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.model.decoder import Decoder
from minillm.serving.asking.prompts import read_prompt
from minillm.serving.runner import PagedLoop

# Prompts are read in passes of at most so many tokens: what a pass keeps alive grows with them.
TOKENS_A_PASS = 2048


def beam_search(
    model: Decoder,
    cache: PagedCache,
    prompts_ids: Sequence[Sequence[int]],
    *,
    beam_width: int = 4,
    max_tokens: int = 16,
    length_penalty: float = 1.0,
    stop_token_ids: Iterable[int] = (),
) -> list[list[Hypothesis]]:
    """Prompts as token ids, over a cache of this model's sizes -> for each its `beam_width` best texts, the best first.

    A Hypothesis has `token_ids` (a stop token that ended it included), `score` (= `logprob` / tokens ** length_penalty),
    `logprob` and `finish_reason`; fewer come where there are no more texts. The rules are BeamRules'. Everything is checked
    first: raises InvalidType or InvalidValue. Raises OutOfBlocks when the pool runs out; every block taken is then given back.
    """
    rules = BeamRules(beam_width, max_tokens, length_penalty, stop_token_ids)  # type: ignore[arg-type]
    with BeamSearch(model, cache, prompts_ids, rules) as search:
        while not search.is_done:
            search.step()
        return search.hypotheses


class BeamSearch:
    """The same one step at a time, for whoever wants to watch: `tables[i][j]` is live beam j of prompt i, as `states[i]` has it.

    Use it in a `with` statement: leaving it gives every block back. A step that raises leaves nothing to go on with.
    """

    def __init__(self, model: Decoder, cache: PagedCache, prompts_ids: Sequence[Sequence[int]], rules: BeamRules):
        _require_sizes(model, cache)
        self.prompts = _read(model, prompts_ids, rules)
        self.cache, self.rules, self.loop = cache, rules, PagedLoop(model)
        self.states = [BeamState() for _ in self.prompts]
        self.tables: list[list[BlockTable]] = [[cache.table()] for _ in self.prompts]
        self.num_steps = 0

    @property
    def is_done(self) -> bool:
        return all(state.is_done for state in self.states)

    @property
    def hypotheses(self) -> list[list[Hypothesis]]:
        """For each prompt those finished so far, the best first."""
        return [list(state.finished) for state in self.states]

    @torch.inference_mode()
    def step(self) -> None:
        """Read the prompts, or else one token of every live beam; then choose what lives on. Raises OutOfBlocks."""
        logits = self._decode() if self.num_steps else self._prefill()
        continuations = iter(best_continuations(logits, self.rules))
        self.num_steps += 1
        for i, state in enumerate(self.states):
            step = advance(state, [next(continuations) for _ in state.live], self.rules)
            self.states[i], self.tables[i] = step.state, _pass_on(self.tables[i], step.parents)

    def close(self) -> None:
        """Give every block back."""
        for tables in self.tables:
            for table in tables:
                table.free()
        self.tables = [[] for _ in self.prompts]
        self.states = [BeamState((), state.finished) for state in self.states]

    def __enter__(self) -> BeamSearch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decode(self) -> Tensor:
        """-> logits (live beams of all prompts, V) of what follows each."""
        tables = [table for tables in self.tables for table in tables]
        token_ids = [beam.token_ids[-1] for state in self.states for beam in state.live]
        return self._run(token_ids, tables, [1] * len(tables))

    def _prefill(self) -> Tensor:
        """-> logits (prompts, V) of what follows each."""
        rows: list[Tensor] = []
        for parts in _in_passes(self.prompts):
            token_ids = [token for part in parts for token in part.token_ids]
            tables = [self.tables[part.prompt][0] for part in parts]
            logits = self._run(token_ids, tables, [len(part.token_ids) for part in parts])
            rows += [row for row, part in zip(logits, parts, strict=True) if part.is_last]
        return torch.stack(rows)

    def _run(self, token_ids: list[int], tables: list[BlockTable], counts: list[int]) -> Tensor:
        batch = self.cache.extend(tables, counts)
        return self.loop.step(torch.tensor(token_ids, device=self.cache.device), batch)


class _Part(NamedTuple):
    """A piece of a prompt that is read in one pass."""

    prompt: int
    token_ids: list[int]
    is_last: bool


def _in_passes(prompts: list[list[int]]) -> list[list[_Part]]:
    """The prompts one behind the other, cut where a pass is full."""
    passes: list[list[_Part]] = []
    room = 0
    for i, prompt in enumerate(prompts):
        start = 0
        while start < len(prompt):
            if not room:
                passes.append([])
                room = TOKENS_A_PASS
            stop = min(len(prompt), start + room)
            passes[-1].append(_Part(i, prompt[start:stop], stop == len(prompt)))
            room, start = room - (stop - start), stop
    return passes


def _pass_on(tables: list[BlockTable], parents: list[int]) -> list[BlockTable]:
    """Tables of the beams before, and each new beam's parent -> the new beams' tables. Needs no block."""
    heirs = [tables[parent] if parent not in parents[:i] else tables[parent].fork() for i, parent in enumerate(parents)]
    for i, table in enumerate(tables):
        if i not in parents:
            table.free()
    return heirs


def _require_sizes(model: Decoder, cache: PagedCache) -> None:
    if not isinstance(cache, PagedCache):
        rule, remedy = "beams share the blocks of a PagedCache", "make one of this model's sizes"
        raise InvalidType(rule_numbers_remedy(rule, type(cache).__name__, remedy))
    config, (N, _, _, G, D) = model.config, cache.shape
    want = (config.num_layers, config.num_kv_heads, config.head_dim, model.dtype, model.device)
    names = "layers, kv_heads, head_dim, dtype and device"
    require_fit(names, (N, G, D, cache.dtype, cache.device), want, "make a PagedCache of this model's sizes")


def _read(model: Decoder, prompts_ids: Sequence[Sequence[int]], rules: BeamRules) -> list[list[int]]:
    """The prompts as lists, at least one, each with room for its texts."""
    if isinstance(prompts_ids, str) or not isinstance(prompts_ids, Sequence):
        rule = "prompts must be a list of lists of token ids"
        raise InvalidType(rule_numbers_remedy(rule, repr(prompts_ids)[:60], "put the prompt into a list"))
    prompts = [read_prompt(ids, None, model.config.vocab_size) for ids in prompts_ids]
    if not prompts:
        raise InvalidValue("a search needs at least one prompt; got none; pass its token ids.")
    room, longest = model.config.max_position_embeddings, max(map(len, prompts))
    # The last token is written but never read, so it needs no position.
    if longest + rules.max_tokens - 1 > room:
        rule = f"prompt and max_tokens must fit the model's {room} positions"
        raise InvalidValue(rule_numbers_remedy(rule, f"{longest} + {rules.max_tokens}", "write fewer tokens"))
    return prompts
