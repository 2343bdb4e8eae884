"""One forward pass over a paged cache: the new tokens of many texts, packed one behind the other, and where each one goes.

Decoding is the case of one new token a text, prefill that of a whole prompt, and a pass may mix both. What kernels need
to know lies in a few index tensors, the same for every layer: each text's row of the block table, its length, where its
new tokens begin, and the slot and the position of each token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from minillm.attention.paged import attend_paged
from minillm.attention.paged_plan import PagedPlan, Text
from minillm.cache.block_table import BlockTable
from minillm.cache.fit import ModelFacts, require_fit
from minillm.errors import InvalidValue, rule_numbers_remedy

if TYPE_CHECKING:
    from minillm.cache.paged import PagedCache


@dataclass(frozen=True, eq=False, repr=False)
class PagedBatch:
    """B texts with T new tokens in all: what `PagedCache.extend` gives and the decoder takes as its cache, once.

    block_table (B, max_blocks) int32, filled up with zeros; seq_lens (B,) int32 with the new tokens; query_start_loc
    (B + 1,) int32, where each text's tokens begin; slot_mapping and token_positions (T,) int64.
    """

    cache: PagedCache
    block_table: Tensor
    seq_lens: Tensor
    query_start_loc: Tensor
    slot_mapping: Tensor
    token_positions: Tensor
    max_query_len: int
    max_seq_len: int
    plan: PagedPlan

    is_packed = True  # token ids come as (T,)

    def check(self, model: ModelFacts, token_ids: Tensor) -> None:
        """Raise InvalidValue when the cache is another model's or token_ids (T,) are not as many as were made room for."""
        cache, (N, _, _, G, D) = self.cache, self.cache.shape
        want = (model.num_layers, model.num_kv_heads, model.head_dim, model.dtype, model.device)
        names = "layers, kv_heads, head_dim, dtype and device"
        require_fit(names, (N, G, D, cache.dtype, cache.device), want, "make a PagedCache of this model's sizes")
        if len(token_ids) != len(self.slot_mapping):
            rule = f"this batch has room for {len(self.slot_mapping)} new tokens"
            raise InvalidValue(rule_numbers_remedy(rule, str(len(token_ids)), "extend the tables by as many"))

    def positions(self, token_ids: Tensor) -> tuple[int, int] | Tensor:
        """Where each new token stands in its own text: (start, stop) for one text, else (T,)."""
        if len(self.seq_lens) == 1:
            return self.max_seq_len - self.max_query_len, self.max_seq_len
        return self.token_positions

    def reach(self, token_ids: Tensor) -> int:
        """How long the longest text is, its new tokens included."""
        return self.max_seq_len

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, window: int | None = None) -> Tensor:
        """Keep k, v (T, G, D) of the new tokens; q (T, H, D) -> (T, H, D), causal over all that is kept of each text."""
        self.cache.keep(layer, k, v, self.slot_mapping)
        return attend_paged(q, self.cache.pages(layer), self.plan, self.cache.scratch, window=window)

    def advance(self, count: int) -> None:
        """Nothing: `extend` has counted the tokens already, when it made room for them."""

    def __repr__(self) -> str:
        return (
            f"PagedBatch({len(self.seq_lens)} texts, {len(self.slot_mapping)} new tokens, longest {self.max_seq_len})"
        )


def make_batch(cache: PagedCache, tables: Sequence[BlockTable], counts: Sequence[int]) -> PagedBatch:
    """Tables that were extended by `counts` -> the pass that writes and attends to their new tokens. Trusts both."""
    device, block_size = cache.device, cache.pool.block_size
    lengths = [table.length for table in tables]
    rows = [0, *accumulate(counts)]
    block_table = np.zeros((len(tables), max(len(t.block_ids) for t in tables)), dtype=np.int32)
    for row, table in zip(block_table, tables, strict=True):
        row[: len(table.block_ids)] = table.block_ids
    slots = [s for t, n in zip(tables, counts, strict=True) for s in t.slots(t.length - n, t.length)]
    positions = [p for t, n in zip(tables, counts, strict=True) for p in range(t.length - n, t.length)]
    # A copy of the ids: the tables go on growing, and a pass stays what it was.
    texts = [
        Text(row, count, table.length, tuple(table.block_ids))
        for row, count, table in zip(rows, counts, tables, strict=False)
    ]
    with torch.inference_mode(False):
        return PagedBatch(
            cache,
            torch.from_numpy(block_table).to(device),
            torch.tensor(lengths, dtype=torch.int32, device=device),
            torch.tensor(rows, dtype=torch.int32, device=device),
            torch.tensor(slots, device=device),
            torch.tensor(positions, device=device),
            max(counts),
            max(lengths),
            PagedPlan(texts, block_size, device),
        )
