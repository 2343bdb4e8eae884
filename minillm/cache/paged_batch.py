"""One forward pass over a paged cache: the new tokens of many texts, packed one behind the other, and where each one goes.

Decoding is the case of one new token a text, prefill that of a whole prompt, and a pass may mix both. What kernels need
to know lies in a few index tensors, the same for every layer: each text's row of the block table, its length, where its
new tokens begin, and the slot and the position of each token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from minillm.attention.paged import attend_paged
from minillm.attention.paged_plan import PagedPlan
from minillm.cache.admission import without_gradient
from minillm.cache.block_table import BlockTable
from minillm.cache.fit import ModelFacts, require_fit
from minillm.errors import InvalidValue, rule_numbers_remedy

if TYPE_CHECKING:
    from minillm.cache.paged import PagedCache


@dataclass(frozen=True, eq=False, repr=False)
class PagedBatch:
    """B texts, `counts` new tokens of each and T in all: what `PagedCache.extend` gives and the decoder takes, once.

    `lengths` count the new tokens; `block_ids` are each text's blocks, as the `tables` were when they were extended. The index tensors are on the cache's device, each
    made when it is first asked for: a processor can do without most of them.
    """

    cache: PagedCache
    counts: tuple[int, ...]
    lengths: tuple[int, ...]
    block_ids: tuple[list[int], ...]
    tables: tuple[BlockTable, ...]

    is_packed = True  # token ids come as (T,)

    @property
    def max_query_len(self) -> int:
        """The most new tokens that a text has."""
        return max(self.counts)

    @property
    def max_seq_len(self) -> int:
        """How long the longest text is, its new tokens included."""
        return max(self.lengths)

    @cached_property
    def block_table(self) -> Tensor:
        """(B, max_blocks) int32, short rows filled up with zeros."""
        table = np.zeros((len(self.block_ids), max(map(len, self.block_ids))), dtype=np.int32)
        for row, block_ids in zip(table, self.block_ids, strict=True):
            row[: len(block_ids)] = block_ids
        return self._tensor(table)

    @cached_property
    def seq_lens(self) -> Tensor:
        """(B,) int32."""
        return self._tensor(np.array(self.lengths, dtype=np.int32))

    @cached_property
    def query_start_loc(self) -> Tensor:
        """(B + 1,) int32: text b's new tokens are the packed rows from entry b to entry b + 1."""
        return self._tensor(np.concatenate(([0], np.cumsum(self.counts))).astype(np.int32))

    @cached_property
    def slot_mapping(self) -> Tensor:
        """(T,) int64: the slot of each new token, block · P + its place in the block."""
        P, texts = self.cache.pool.block_size, zip(self.counts, self.lengths, self.block_ids, strict=True)
        slots = [
            block_ids[position // P] * P + position % P
            for count, length, block_ids in texts
            for position in range(length - count, length)
        ]
        return self._tensor(np.array(slots, dtype=np.int64))

    @cached_property
    def token_positions(self) -> Tensor:
        """(T,) int64: where each new token stands in its own text."""
        return self._tensor(self._positions)

    @cached_property
    def plan(self) -> PagedPlan:
        """What attention does in every layer alike."""
        return PagedPlan(self.counts, self.lengths, self.block_ids, self.cache.pool.block_size)

    def check(self, model: ModelFacts, token_ids: Tensor) -> None:
        """Raise InvalidValue when the cache is another model's, token_ids (T,) are not as many as were made room for, or a
        text has since been freed, cut or moved to other blocks: what it had may be another text's now."""
        cache, (N, _, _, G, D) = self.cache, self.cache.shape
        want = (model.num_layers, model.num_kv_heads, model.head_dim, model.dtype, model.device)
        names = "layers, kv_heads, head_dim, dtype and device"
        require_fit(names, (N, G, D, cache.dtype, cache.device), want, "make a PagedCache of this model's sizes")
        if len(token_ids) != sum(self.counts):
            rule = f"this batch has room for {sum(self.counts)} new tokens"
            raise InvalidValue(rule_numbers_remedy(rule, str(len(token_ids)), "extend the tables by as many"))
        self._require_tables_as_they_were()

    def positions(self, token_ids: Tensor) -> tuple[int, int] | Tensor:
        """Where each new token stands in its own text: (start, stop) for one text, else (T,)."""
        if len(self.counts) == 1:
            return self.lengths[0] - self.counts[0], self.lengths[0]
        return self.token_positions

    def reach(self, token_ids: Tensor) -> int:
        """How long the longest text is, its new tokens included."""
        return self.max_seq_len

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, window: int | None = None) -> Tensor:
        """Keep k, v (T, G, D) of the new tokens; q (T, H, D) -> (T, H, D), causal over all that is kept of each text."""
        cache = self.cache
        if cache.on_gpu and self._kernels_run:
            return without_gradient(self.attend_by_kernels(layer, q, k, v, window=window), q, k, v)
        cache.keep(layer, k, v, self.slot_mapping)
        if not (q.requires_grad or k.requires_grad or v.requires_grad):
            return attend_paged(q, cache.pages[layer], self.plan, cache.scratch, window=window)
        out = attend_paged(q.detach(), cache.pages[layer], self.plan, cache.scratch, window=window)
        return without_gradient(out, q, k, v)

    def attend_by_kernels(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, window: int | None = None) -> Tensor:
        """`attend` by the Triton kernels: what a GPU does. float64, and heads wider than 256, are not theirs."""
        from minillm.kernels import kv_write
        from minillm.kernels.paged_attention import attend_paged as attend_by_kernel

        pages = self.cache.pages[layer]
        scales = {} if pages.k_scale is None else {"k_scale": pages.k_scale, "v_scale": pages.v_scale}
        kv_write(k.detach(), v.detach(), pages.k, pages.v, self.slot_mapping, **scales)
        # Unchecked: what a batch is made of fits, and a look at its tensors' values would wait for the GPU.
        out, _ = attend_by_kernel(
            q.detach(), pages.k, pages.v, self.block_table, self.seq_lens, self.query_start_loc, self.max_query_len,
            window, 0.0, None, None, pages.k_scale, pages.v_scale, None, None,
            list(zip(self.counts, self.lengths, strict=True)),
        )  # fmt: skip
        return out

    def last_rows(self, x: Tensor) -> Tensor:
        """x (T, …), one row a new token -> (B, …), the last of each text."""
        return x if len(x) == len(self.counts) else x[self.query_start_loc[1:] - 1]

    def advance(self, count: int) -> None:
        """Nothing: `extend` has counted the tokens already, when it made room for them."""

    def _require_tables_as_they_were(self) -> None:
        for text, (table, length, ids) in enumerate(zip(self.tables, self.lengths, self.block_ids, strict=True)):
            if table.length < length or table.block_ids[: len(ids)] != ids:
                rule = "a batch is for tables that still have the blocks it was made for"
                remedy = "extend again, and use the new batch"
                raise InvalidValue(rule_numbers_remedy(rule, f"text {text}: {table!r:.80}", remedy))

    def __repr__(self) -> str:
        return f"PagedBatch({len(self.counts)} texts, {sum(self.counts)} new tokens, longest {self.max_seq_len})"

    @cached_property
    def _kernels_run(self) -> bool:
        """Whether compiled kernels do the work: on a GPU that Triton compiles for, never interpreted."""
        from minillm.kernels.runtime import mode

        if self.cache.dtype == torch.float64 or mode().name != "gpu":
            return False
        from minillm.kernels.flash_attention import WIDEST

        return self.cache.shape[-1] <= WIDEST

    @property
    def _positions(self) -> np.ndarray:
        """(T,) int64: a text's tokens count up to its last, which stands at its length less one."""
        ends, counts = np.cumsum(self.counts), self.counts
        return np.arange(ends[-1]) + np.repeat(np.array(self.lengths) - ends, counts)

    def _tensor(self, values: np.ndarray) -> Tensor:
        with torch.inference_mode(False):
            found = torch.from_numpy(values)
            return found if self.cache.device.type == "cpu" else found.to(self.cache.device)


def make_batch(cache: PagedCache, tables: Sequence[BlockTable], counts: Sequence[int]) -> PagedBatch:
    """Tables that were extended by `counts` -> the pass that writes and attends to their new tokens. Trusts both."""
    # A copy of the ids: the tables go on growing, and a pass stays what it was.
    block_ids = tuple(list(table.block_ids) for table in tables)
    return PagedBatch(cache, tuple(counts), tuple(table.length for table in tables), block_ids, tuple(tables))
