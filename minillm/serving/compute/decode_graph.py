"""A decode step that a GPU has by heart: its few hundred kernels are recorded once, and then ordered all at once.

When every text brings one token, a step is the same kernels again and again, each shorter than the time in which Python
can order it. A CUDA graph is such a sequence, recorded, with every address in it fixed. So the numbers of a step (ids,
positions, slots, lengths, block tables) are copied to where the recorded one read them, and rows that no text needs are
filled up: a row of no keys that keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from minillm.errors import InvalidValue, Unsupported, rule_numbers_remedy
from minillm.measure.numbers import require_whole

if TYPE_CHECKING:
    from minillm.cache.paged import PagedCache
    from minillm.cache.paged_batch import PagedBatch
    from minillm.serving.runner import PagedLoop

Call = Callable[[], Tensor]
STRIDE = 32  # beyond so many texts, a graph for every so many more: few to record, few rows to waste
NOWHERE = -1


class StaticBatch:
    """`size` rows of one new token each, in memory that stays where it is: what a recorded step reads, by `load`.

    To a decoder it is a packed cache like PagedBatch. `max_length` is how long a text may get. Trusts its input.
    """

    is_packed = True

    def __init__(self, cache: PagedCache, size: int, max_length: int):
        self.cache, self.size, self.max_seq_len = cache, size, max_length
        width = -(-max_length // cache.pool.block_size)
        # On the host, and where the cache is: token ids, positions and slots (3, size); lengths (size,), then tables.
        self._wide = np.zeros((3, size), dtype=np.int64)
        self._wide[2] = NOWHERE
        self._narrow = np.zeros(size * (1 + width), dtype=np.int32)
        self._table = self._narrow[size:].reshape(size, width)
        self._rows: list[list[int]] = [[] for _ in range(size)]
        with torch.inference_mode(False):
            self._wide_there = torch.from_numpy(self._wide.copy()).to(cache.device)
            self._narrow_there = torch.from_numpy(self._narrow.copy()).to(cache.device)
            self.query_start_loc = torch.arange(size + 1, dtype=torch.int32, device=cache.device)
        self.token_ids, self.token_positions, self.slot_mapping = self._wide_there.unbind()
        self.seq_lens, self.block_table = self._narrow_there[:size], self._narrow_there[size:].view(size, width)

    def load(self, token_ids: Sequence[int], batch: PagedBatch) -> None:
        """The tokens (B,) of a batch that has one of each text, B up to `size`; the rest of the rows is nobody's."""
        B, P, lengths = len(token_ids), self.cache.pool.block_size, batch.lengths
        ids, positions, slots = self._wide
        ids[:B], ids[B:] = token_ids, 0
        positions[:B], positions[B:] = lengths, 1
        positions -= 1
        slots[:B] = [row[(n - 1) // P] * P + (n - 1) % P for row, n in zip(batch.block_ids, lengths, strict=True)]
        slots[B:] = NOWHERE
        self._narrow[:B], self._narrow[B : self.size] = lengths, 0
        for row, block_ids in enumerate(batch.block_ids):
            if self._rows[row] != block_ids:  # a block lasts many steps, and a comparison is cheaper than a conversion
                self._table[row, : len(block_ids)] = block_ids
                self._rows[row] = list(block_ids)
        self._wide_there.copy_(torch.from_numpy(self._wide))
        self._narrow_there.copy_(torch.from_numpy(self._narrow))

    def positions(self, token_ids: Tensor) -> Tensor:
        """(size,) int64: a tensor, for one text too, so that a recorded step does not have its position by heart."""
        return self.token_positions

    def reach(self, token_ids: Tensor) -> int:
        """How long a text may be."""
        return self.max_seq_len

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, window: int | None = None) -> Tensor:
        """q (size, H, D), k and v (size, G, D) -> (size, H, D), zeros in nobody's rows. Nothing is read by the host."""
        from minillm.kernels import kv_write
        from minillm.kernels.paged_attention import attend_paged

        pages = self.cache.pages[layer]
        scales = {} if pages.k_scale is None else {"k_scale": pages.k_scale, "v_scale": pages.v_scale}
        kv_write(k, v, pages.k, pages.v, self.slot_mapping, **scales)
        out, _ = attend_paged(
            q, pages.k, pages.v, self.block_table, self.seq_lens, self.query_start_loc, 1, window, 0.0, None, None,
            pages.k_scale, pages.v_scale, None, None, [(1, self.max_seq_len)] * self.size,
        )  # fmt: skip
        return out

    def last_rows(self, x: Tensor) -> Tensor:
        """x (size, …): every row is its text's last."""
        return x

    def advance(self, count: int) -> None:
        """Nothing: tables are extended before a step."""


class CudaRecorder:
    """A call on a GPU -> the same call from a graph: it must read and write what it did when it was recorded.

    What all of its recordings need on the way shares one piece of memory, so what one returns lasts until any other is run.
    """

    def __init__(self, device: torch.device):
        self.device = device
        with torch.cuda.device(device):
            self.pool, self.stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream()

    def __call__(self, call: Call) -> Call:
        with torch.cuda.device(self.device):
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                for _ in range(2):  # kernels are compiled and libraries set up at first use, which cannot be recorded
                    call()
            torch.cuda.current_stream().wait_stream(self.stream)
            graph = torch.cuda.CUDAGraph()
            # What other threads ask of the GPU meanwhile is theirs.
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
                found = call()

        def replay() -> Tensor:
            graph.replay()
            return found

        return replay


class DecodeGraphs:
    """A PagedLoop and its cache -> `step`, quick where every text brings one token; one recording for each of `sizes`.

    `record` makes a call quick; by default a CudaRecorder. Raises InvalidType or InvalidValue for sizes that are not whole
    numbers rising from 1, and Unsupported where the default cannot be: off CUDA, in float64, with heads too wide for the
    kernels. After vLLM's and nano-vllm's.
    """

    def __init__(
        self,
        loop: PagedLoop,
        cache: PagedCache,
        sizes: Sequence[int],
        max_length: int,
        *,
        record: Callable[[Call], Call] | None = None,
        make_batch: Callable[[PagedCache, int, int], StaticBatch] = StaticBatch,
    ):
        _require_sizes(sizes)
        require_whole(max_length=max_length)
        if record is None:
            require_graphs(cache)
            record = CudaRecorder(cache.device)
        self.loop, self.sizes, self.max_length = loop, tuple(sizes), max_length
        self.batches = {size: make_batch(cache, size, max_length) for size in self.sizes}
        # The largest first: what it needs on the way is enough for all the others.
        self.calls = {size: record(self._call(self.batches[size])) for size in reversed(self.sizes)}
        # A recording holds no tensors. The weights are the model's and stay; tables of angles grow, and the old one goes.
        self._kept = (loop.cos, loop.sin, loop.model.rotary_rows(0, max_length))

    def takes(self, batch: PagedBatch) -> bool:
        """Whether a pass is a decode step that was recorded: one new token a text, not too many texts, none too long."""
        return batch.max_query_len == 1 and len(batch.counts) <= self.sizes[-1] and batch.max_seq_len <= self.max_length

    def step(self, token_ids: Sequence[int], batch: PagedBatch) -> Tensor:
        """The new token (B,) of each text of a batch that it `takes` -> logits (B, V), good until the next step.

        What `PagedLoop.step` gives, up to rounding: a row's sums may be added in another order in company of more rows.
        """
        size = next(size for size in self.sizes if size >= len(token_ids))
        self.batches[size].load(token_ids, batch)
        return self.calls[size]()[: len(token_ids)]

    def _call(self, batch: StaticBatch) -> Call:
        return lambda: self.loop.step(batch.token_ids, cast("PagedBatch", batch))


def graph_sizes(most: int) -> list[int]:
    """Numbers of texts to record a step for: powers of two up to 32, then every 32nd, and `most`."""
    require_whole(most=most)
    few = [1 << i for i in range(STRIDE.bit_length()) if 1 << i < most]
    return [*few, *range(2 * STRIDE, most, STRIDE), most]


def require_graphs(cache: PagedCache) -> None:
    """Raise Unsupported unless decode steps over this cache can be recorded."""
    from minillm.kernels.flash_attention import WIDEST
    from minillm.kernels.runtime import mode

    D = cache.shape[-1]
    if cache.device.type != "cuda" or mode().name != "gpu" or cache.dtype == torch.float64 or D > WIDEST:
        rule = f"decode graphs need a GPU that Triton compiles for, 16 or 32 bits, and heads up to {WIDEST} wide"
        found = f"{cache.dtype} on {cache.device}, {D} wide; kernels: {mode().name}"
        raise Unsupported(rule_numbers_remedy(rule, found, "leave cuda_graphs off"))


def _require_sizes(sizes: Sequence[int]) -> None:
    for size in sizes:
        require_whole(size=size)
    if not sizes or list(sizes) != sorted(set(sizes)):
        raise InvalidValue(rule_numbers_remedy("sizes must rise, from 1 on", repr(sizes), "use graph_sizes(most)"))
