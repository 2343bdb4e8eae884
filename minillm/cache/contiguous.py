"""The simplest KV cache: one preallocated slab a layer, filled from the left.

Keys and values of earlier tokens never change, so they are kept instead of recomputed. The slab is reserved for the longest
text at the start; appending writes in place and copies nothing that is already there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minillm.attention.sdpa import attend
from minillm.cache.fit import ModelFacts, require_fit
from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_whole


class ContiguousCache:
    """Keys and values (N, B, S_max, G, D), the first `length` positions of which are filled.

    A forward pass calls `append` once a layer and `advance` once at its end. Raises InvalidType or InvalidValue for sizes
    that are not whole numbers from 1 up, and InvalidValue when more is appended than was reserved or for another batch;
    nothing already stored is lost.
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
        shape = (num_layers, batch, max_length, num_kv_heads, head_dim)
        self.k = torch.empty(shape, dtype=dtype, device=device)
        self.v = torch.empty(shape, dtype=dtype, device=device)
        self.length = 0

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
        self._require_room(self.reach(token_ids))

    def positions(self, token_ids: Tensor) -> tuple[int, int]:
        """token_ids (B, L) -> (start, stop), where the new tokens of every text stand."""
        return self.length, self.length + token_ids.shape[1]

    def reach(self, token_ids: Tensor) -> int:
        """How long the longest text is with token_ids (B, L)."""
        return self.length + token_ids.shape[1]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, window: int | None = None) -> Tensor:
        """Keep k, v (B, L, G, D) of the new tokens; q (B, L, H, D) -> (B, L, H, D), causal over all that is kept."""
        keys, values = self.append(layer, k, v)
        return attend(q, keys, values, causal=True, window=window)

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """k, v (B, L, G, D) of the new tokens -> views (B, length + L, G, D) of everything this layer has seen."""
        stop = self.length + k.shape[1]
        self._require_room(stop)
        if k.shape[0] != self.k.shape[1]:  # one text would be broadcast over all of them
            rule = f"the cache holds {self.k.shape[1]} texts"
            raise InvalidValue(rule_numbers_remedy(rule, str(k.shape[0]), "make one with new_cache(batch=...)"))
        self.k[layer, :, self.length : stop] = k
        self.v[layer, :, self.length : stop] = v
        return self.k[layer, :, :stop], self.v[layer, :, :stop]

    def advance(self, count: int) -> None:
        """Count the tokens that every layer has just appended."""
        self.length += count

    def truncate(self, length: int) -> None:
        """Forget everything from position `length` on."""
        if not 0 <= length <= self.length:
            raise InvalidValue(
                rule_numbers_remedy(f"length must lie in 0 … {self.length}", str(length), "truncate to what is filled")
            )
        self.length = length

    def _require_room(self, stop: int) -> None:
        if stop > self.max_length:
            raise InvalidValue(f"the cache holds {self.max_length} tokens; got {stop}; reserve a larger max_length.")

    def __repr__(self) -> str:
        N, B, _, G, D = self.k.shape
        used = self.length / self.max_length
        return f"ContiguousCache({self.length} of {self.max_length} tokens ({used:.0%}), layers={N}, batch={B}, kv_heads={G}, head_dim={D}, {self.nbytes:,} bytes)"
