"""A cache of one text whose book-keeping is somebody else's: plug in an object that says where the text stands.

The tensors are the dull half of a cache. The other half is two numbers that must agree: how many tokens are kept, and
at which position the next one stands. A lesson hands that half to the learner, and lets a real model show what it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from minillm.attention.sdpa import attend

if TYPE_CHECKING:
    from minillm.cache.fit import ModelFacts
    from minillm.model import Decoder


class Place(Protocol):
    """Where one text stands: `kept` tokens lie in the memory's first places, and `positions` says where new ones stand."""

    max_length: int
    kept: int

    def positions(self, count: int) -> tuple[int, int]:
        """(start, stop) of the next `count` tokens in the text."""
        ...

    def advance(self, count: int) -> None:
        """`count` tokens have been written."""
        ...

    def truncate(self, length: int) -> None:
        """Forget what lies behind the first `length` tokens."""
        ...

    def reset(self) -> None:
        """Forget everything."""
        ...


class PlacedCache:
    """Keys and values (N, 1, S_max, G, D) of one text for `model`, in zeroed memory; `place` keeps the books.

    It trusts its place as a model trusts its cache: what is wrong there shows in the scores, or not at all.
    """

    is_packed = False

    def __init__(self, model: Decoder, place: Place, max_length: int | None = None) -> None:
        """`max_length` is S_max, where `place` does not tell its own."""
        c = model.config
        shape = (c.num_layers, 1, max_length or place.max_length, c.num_kv_heads, c.head_dim)
        self.k, self.v = (torch.zeros(shape, dtype=model.dtype, device=model.device) for _ in "kv")
        self.place = place

    def check(self, model: ModelFacts, token_ids: Tensor) -> None:
        """Nothing is refused here: refusing is the place's business."""

    def positions(self, token_ids: Tensor) -> tuple[int, int]:
        """token_ids (1, L) -> (start, stop), as the place says."""
        return self.place.positions(token_ids.shape[1])

    def reach(self, token_ids: Tensor) -> int:
        """How far the text goes with token_ids (1, L)."""
        return self.positions(token_ids)[1]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, window: int | None = None) -> Tensor:
        """q (1, L, H, D), k and v (1, L, G, D) -> (1, L, H, D), written behind what is kept and attended causally."""
        start = self.place.kept
        stop = start + k.shape[1]
        self.k[layer, :, start:stop] = k
        self.v[layer, :, start:stop] = v
        return attend(q, self.k[layer, :, :stop], self.v[layer, :, :stop], causal=True, window=window)

    def advance(self, count: int) -> None:
        """Tell the place that `count` tokens were written."""
        self.place.advance(count)
