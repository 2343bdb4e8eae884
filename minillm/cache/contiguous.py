"""The simplest KV cache: one preallocated slab a layer, filled from the left.

Keys and values of earlier tokens never change, so they are kept instead of recomputed. The slab is reserved for the longest
text at the start; appending writes in place and copies nothing that is already there. Every text of a batch has a length of
its own: while all agree nothing is masked, and where they differ one masked call over the longest serves all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from minillm.attention.sdpa import attend
from minillm.attention.validate import check_window
from minillm.cache.admission import (
    require_place,
    require_queries,
    require_room,
    require_tokens,
    reserve,
    without_gradient,
)
from minillm.cache.fit import ModelFacts, require_fit
from minillm.cache.rows import (
    attend_biased,
    bias_of,
    common_length,
    no_lengths,
    require_common_length,
    require_row,
    shorter_lengths,
)
from minillm.measure.numbers import require_whole

# How far beyond what a pass needs the unfilled end of a short row is zeroed: once in so many steps, not at every one.
ZEROED_AHEAD = 64


class RaggedPass(NamedTuple):
    """One pass over rows of different lengths, the same for every layer: made once, found again by `key`."""

    key: tuple[int, ...]
    lengths: list[int]  # before the pass
    rows: Tensor  # (B, 1)
    positions: Tensor  # (B, L), where the new tokens go
    biases: dict[int | None, tuple[int, Tensor]]  # window -> first key read, bias (B, 1, L, S − first)


class ContiguousCache:
    """Keys and values (N, B, S_max, G, D), of which row b has filled the first `lengths[b]` positions; lengths (B,) on the CPU.

    A forward pass calls `attend` once a layer and `advance` once at its end. Prompts of different lengths are read padded on
    the right and then truncated to their own lengths, which is exact, since no token sees what comes after it.

    Raises InvalidType or InvalidValue for sizes that are not whole numbers from 1 up, and when more is appended than was
    reserved, or for another batch, dtype or device; nothing already stored is lost. A cache carries no gradients: a loss that
    asks for them raises Unsupported.
    """

    is_packed = False  # token ids come as (B, L), one row a text

    def __init__(
        self,
        num_layers: int,
        batch: int,
        max_length: int,
        num_kv_heads: int,
        head_dim: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        require_whole(num_layers=num_layers, batch=batch, max_length=max_length)
        require_whole(num_kv_heads=num_kv_heads, head_dim=head_dim)
        require_place(dtype, device)
        shape = (num_layers, batch, max_length, num_kv_heads, head_dim)
        self.k, self.v = reserve(shape, dtype, device), reserve(shape, dtype, device)
        self.lengths = no_lengths(batch)
        self._zeroed = no_lengths(batch)  # from its length to here, a row holds zeros and no leftovers
        self._pass: RaggedPass | None = None

    @property
    def length(self) -> int:
        """How many tokens every row holds. Raises InvalidValue where rows differ: `lengths` then tells."""
        return require_common_length(self.lengths)

    @property
    def max_length(self) -> int:
        """How many tokens were reserved for each text."""
        return self.k.shape[2]

    @property
    def nbytes(self) -> int:
        """Bytes reserved, filled or not."""
        return 2 * self.k.numel() * self.k.element_size()

    def check(self, model: ModelFacts, token_ids: Tensor) -> None:
        """Raise InvalidValue when the cache is another model's, for another batch, or has no room for token_ids (B, L)."""
        layers, texts, _, groups, width = self.k.shape
        got = (layers, texts, groups, width, self.k.dtype, self.k.device)
        want = (
            model.num_layers, token_ids.shape[0], model.num_kv_heads, model.head_dim, model.dtype, model.device,
        )  # fmt: skip
        names = "layers, batch, kv_heads, head_dim, dtype and device"
        require_fit(names, got, want, "make one with model.new_cache(batch)")
        require_room(self.reach(token_ids), self.max_length)

    def positions(self, token_ids: Tensor) -> tuple[int, int] | Tensor:
        """token_ids (B, L) -> (start, stop) when all rows stand at one length, else the position of each, (B, L)."""
        length, count = common_length(self.lengths), token_ids.shape[1]
        return self._ragged_pass(count).positions if length is None else (length, length + count)

    def reach(self, token_ids: Tensor) -> int:
        """How long the longest text is with token_ids (B, L)."""
        return max(self.lengths.tolist()) + token_ids.shape[1]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, window: int | None = None) -> Tensor:
        """Keep k, v (B, L, G, D) of the new tokens; q (B, L, H, D) -> (B, L, H, D), causal over all that is kept."""
        require_tokens(self.k, layer, k, v)
        require_queries(q, k)
        require_room(max(self.lengths.tolist()) + k.shape[1], self.max_length)
        if window is not None:
            check_window(window)
        return without_gradient(self._attend(layer, q.detach(), k, v, window), q, k, v)

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """k, v (B, L, G, D) of the new tokens -> views (B, length + L, G, D) of everything this layer has seen.

        For rows of one length; `attend` serves others too.
        """
        start = self.length
        stop = start + k.shape[1]
        require_tokens(self.k, layer, k, v)
        require_room(stop, self.max_length)
        self.k[layer, :, start:stop] = k.detach()
        self.v[layer, :, start:stop] = v.detach()
        return self.k[layer, :, :stop], self.v[layer, :, :stop]

    def advance(self, count: int) -> None:
        """Count the tokens that every layer has just kept, the same number for each row."""
        require_whole(at_least=0, count=count)
        require_room(max(self.lengths.tolist()) + count, self.max_length)
        self.lengths += count

    def truncate(self, length: int | Sequence[int] | Tensor) -> None:
        """Forget everything from position `length` on: one length for all rows, or one each (B,)."""
        self.lengths.copy_(shorter_lengths(length, self.lengths))
        self._zeroed.clamp_(max=self.lengths)

    def reset(self) -> None:
        """Forget every text; what is reserved stays reserved."""
        self.truncate(0)

    def row(self, row: int) -> ContiguousCache:
        """Text `row` alone, as a cache of one text in the same memory: what either keeps or forgets, both do."""
        require_row(row, self.k.shape[1])
        one = object.__new__(type(self))
        one.k, one.v = self.k[:, row : row + 1], self.v[:, row : row + 1]
        one.lengths, one._zeroed = self.lengths[row : row + 1], self._zeroed[row : row + 1]
        one._pass = None
        return one

    def _attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, window: int | None) -> Tensor:
        """`attend` with its arguments trusted."""
        if common_length(self.lengths) is not None:
            keys, values = self.append(layer, k, v)
            return attend(q, keys, values, causal=True, window=window)
        now = self._ragged_pass(k.shape[1])
        self.k[layer][now.rows, now.positions] = k.detach()
        self.v[layer][now.rows, now.positions] = v.detach()
        first, bias = self._bias(now, window)
        stop = first + bias.shape[-1]
        return attend_biased(q, self.k[layer, :, first:stop], self.v[layer, :, first:stop], bias)

    def _ragged_pass(self, count: int) -> RaggedPass:
        """Where `count` new tokens a row go, made by the first layer that asks."""
        if self._pass is None or self._pass.key != self._key(count):
            positions = self.lengths[:, None] + torch.arange(count)
            self._zero_ends(int(positions.max()) + 1)
            rows = torch.arange(len(self.lengths), device=self.k.device)[:, None]
            self._pass = RaggedPass(
                self._key(count), self.lengths.tolist(), rows, positions.to(self.k.device), {}
            )  # fmt: skip
        return self._pass

    def _key(self, count: int) -> tuple[int, ...]:
        """What a pass depends on; another view of the same memory may have changed it."""
        return (*self.lengths.tolist(), *self._zeroed.tolist(), count)

    def _zero_ends(self, stop: int) -> None:
        """Make every row numbers up to `stop`, for the masked call reads that far in all of them."""
        ahead = min(self.max_length, stop + ZEROED_AHEAD)
        starts = torch.maximum(self.lengths, self._zeroed).tolist()
        for row, start in enumerate(starts):
            if start < stop:
                self.k[:, row, start:ahead] = 0
                self.v[:, row, start:ahead] = 0
                self._zeroed[row] = ahead

    def _bias(self, now: RaggedPass, window: int | None) -> tuple[int, Tensor]:
        """The first key that any query of this pass sees, and the bias (B, 1, L, S − first) of the keys from there on."""
        if window not in now.biases:
            first = 0 if window is None else max(0, min(now.lengths) + 1 - window)
            keys = torch.arange(first, max(now.lengths) + now.positions.shape[1], device=self.k.device)
            seen = keys <= now.positions[..., None]  # (B, L, S − first)
            if window is not None:
                seen &= keys > now.positions[..., None] - window
            now.biases[window] = first, bias_of(seen, self.k.dtype).unsqueeze(1)
        return now.biases[window]

    def __repr__(self) -> str:
        N, B, _, G, D = self.k.shape
        low, high = min(self.lengths.tolist()), max(self.lengths.tolist())
        filled = str(high) if low == high else f"{low} to {high}"
        used = sum(self.lengths.tolist()) / (B * self.max_length)
        return f"ContiguousCache({filled} of {self.max_length} tokens ({used:.0%}), layers={N}, batch={B}, kv_heads={G}, head_dim={D}, {self.nbytes:,} bytes)"
