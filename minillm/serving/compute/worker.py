"""The part of an engine that computes: shares of a step in, chosen tokens out.

One pass computes all shares. Should it raise, the shares are run one by one, so that only those that raise by themselves
are lost: what fails is a text, never the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from minillm.cache.block_table import BlockTable
from minillm.cache.paged import PagedCache
from minillm.cache.paged_batch import make_batch
from minillm.decoding.sampling import choose_tokens, token_logprobs
from minillm.decoding.speculative import accept_same_noise
from minillm.model.decoder import Decoder
from minillm.serving.compute.decode_graph import DecodeGraphs, graph_sizes
from minillm.serving.runner import PagedLoop
from minillm.serving.schedule.output import SchedulerOutput, Share
from minillm.serving.writing.answer import Text


class Chosen(NamedTuple):
    """What a share's scores chose: one token, or as many more as drafts were right. `logprobs` if they were asked for."""

    tokens: list[int]
    logprobs: list[dict[int, float]] | None = None


class Outcome(NamedTuple):
    """By request id: what was chosen for each share that samples, and the exceptions of those that failed."""

    chosen: dict[str, Chosen]
    failed: dict[str, Exception]


class Worker:
    """A model over a paged cache of its own sizes; `weights`: see PlainDecoder. `num_failed_passes`: how many steps had to be run text by text."""

    def __init__(self, model: Decoder, cache: PagedCache, weights: str = "auto"):
        self.model, self.cache, self.loop = model, cache, PagedLoop(model, weights)
        self.num_failed_passes = 0
        self.graphs: DecodeGraphs | None = None

    def record_decoding(self, most: int, max_length: int) -> None:
        """Let a GPU learn the steps of up to `most` texts of up to `max_length` tokens by heart; see DecodeGraphs."""
        self.graphs = DecodeGraphs(self.loop, self.cache, graph_sizes(most), max_length)

    @torch.inference_mode()
    def run(self, output: SchedulerOutput, texts: Mapping[str, Text]) -> Outcome:
        """Compute a step. Tables were extended already; `texts` say how each request's tokens are chosen."""
        if output.copies:
            self.cache.copy_blocks(output.copies)
        sampling = [share for share in output.shares if share.samples]
        try:
            scores = self.scores(output.shares)
            return Outcome(choose(scores, sampling, texts), {})
        except Exception:
            self.num_failed_passes += 1
            return self._one_by_one(output.shares, texts)

    def scores(self, shares: Sequence[Share]) -> Tensor:
        """One pass over the shares -> logits (n, V): of those that sample, each draft's row and the one before them."""
        tables: list[BlockTable] = []
        token_ids: list[int] = []
        for share in shares:
            assert share.request.table is not None
            tables.append(share.request.table)
            token_ids += share.token_ids
        batch = make_batch(self.cache, tables, [share.num_tokens for share in shares])
        rows = rows_to_score(shares)
        if rows is None and self.graphs is not None and self.graphs.takes(batch):
            return self.graphs.step(token_ids, batch)
        device = self.cache.device
        wanted = None if rows is None else torch.tensor(rows, dtype=torch.int64, device=device)
        return self.loop.step(torch.tensor(token_ids, device=device), batch, wanted)

    def _one_by_one(self, shares: Sequence[Share], texts: Mapping[str, Text]) -> Outcome:
        outcome = Outcome({}, {})
        for share in shares:
            try:
                outcome.chosen.update(choose(self.scores([share]), [share] * share.samples, texts))
            except Exception as error:
                outcome.failed[share.request.request_id] = error
        return outcome


def rows_to_score(shares: Sequence[Share]) -> list[int] | None:
    """The packed rows whose scores choose tokens; None for the last row of every share."""
    if all(share.samples and not share.num_drafts for share in shares):
        return None
    ends = accumulate(share.num_tokens for share in shares)
    return [
        row
        for end, share in zip(ends, shares, strict=True)
        if share.samples
        for row in range(end - share.num_drafts - 1, end)
    ]


def choose(scores: Tensor, shares: Sequence[Share], texts: Mapping[str, Text]) -> dict[str, Chosen]:
    """scores (n, V) of shares that all sample -> what each chose. Drafts are kept while they are what would be chosen."""
    if not shares:
        return {}
    drafts = [share.request.draft_token_ids[: share.num_drafts] for share in shares]
    asked = [texts[share.request.request_id] for share in shares]
    choices = [
        text.choice(ids[:ahead]) for text, ids in zip(asked, drafts, strict=True) for ahead in range(len(ids) + 1)
    ]
    tokens = choose_tokens(scores, choices)
    chosen, row = {}, 0
    for text, ids in zip(asked, drafts, strict=True):
        kept = accept_same_noise(ids, tokens[row : row + len(ids) + 1]) if ids else [tokens[row]]
        best = text.answer.params.logprobs
        told = None if best is None else token_logprobs(scores[row : row + len(kept)], kept, best)
        chosen[text.request.request_id] = Chosen(kept, told)
        row += len(ids) + 1
    return chosen
