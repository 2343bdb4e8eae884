"""A paged cache in 8 bits a number: half or a quarter of the memory, for a little of the quality.

Each token's key, and its value, is divided head by head by a scale, so that its largest number just fits, and rounded. The
scale is kept beside it. Nothing is ever widened but the few pages being attended to, in the buffer they were fetched into.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from minillm.attention.pages import Pages
from minillm.cache.admission import require_layer, reserve
from minillm.cache.block_table import BlockTable
from minillm.cache.paged import PagedCache
from minillm.errors import unknown_name

# What is stored, and the largest number it holds: int8 in even steps, float8 finer near zero and coarser far from it.
STORED = {"int8": (torch.int8, 127.0), "fp8": (torch.float8_e4m3fn, 448.0)}


class QuantizedPagedCache(PagedCache):
    """k and v (N, num_blocks, P, G, D) as "int8" or "fp8" (e4m3), k_scale and v_scale (N, num_blocks, P, G) float32.

    Everything else is as in PagedCache; `dtype` is what the model computes in. One scale a token and head, so that a token
    is quantised once, when it is written, and no later token changes it. Raises InvalidValue for another `stored`.
    """

    def __init__(self, *sizes: int, stored: str = "int8", **options: Any):
        if not isinstance(stored, str) or stored not in STORED:
            raise unknown_name("storage", stored, STORED)
        self.stored = stored
        super().__init__(*sizes, **options)

    def _reserve(self, dtype: torch.dtype, device: torch.device | str) -> None:
        kind, _ = STORED[self.stored]
        self.k, self.v = reserve(self.shape, kind, device), reserve(self.shape, kind, device)
        scales = self.shape[:-1]
        self.k_scale, self.v_scale = reserve(scales, torch.float32, device), reserve(scales, torch.float32, device)
        self._tensors = (self.k, self.v, self.k_scale, self.v_scale)
        self.pages = [Pages(*layer) for layer in zip(*self._tensors, strict=True)]

    def keep(self, layer: int, k: Tensor, v: Tensor, slots: Tensor) -> None:
        """Quantise k and v (T, G, D) and keep them in `slots` (T,), with their scales. Trusts its arguments."""
        for x, cache, scales in ((k, self.k, self.k_scale), (v, self.v, self.v_scale)):
            numbers, scale = quantise(x.detach(), self.stored)
            # As bytes, because torch moves float8 about on no processor we know.
            cache[layer].view(torch.int8).flatten(0, 1).index_copy_(0, slots, numbers.view(torch.int8))
            scales[layer].flatten(0, 1).index_copy_(0, slots, scale)

    def read(self, layer: int, table: BlockTable) -> tuple[Tensor, Tensor]:
        """-> k, v (S, G, D) of one text, widened to `dtype`, in one piece."""
        require_layer(layer, self.shape[0])
        self._require_tables([table])
        slots = torch.tensor(table.slots(0, table.length), dtype=torch.int64, device=self.device)
        return (
            self._widened(self.k[layer], self.k_scale[layer], slots),
            self._widened(self.v[layer], self.v_scale[layer], slots),
        )

    def _widened(self, cache: Tensor, scales: Tensor, slots: Tensor) -> Tensor:
        numbers = cache.view(torch.int8).flatten(0, 1)[slots].view(cache.dtype)
        return dequantise(numbers, scales.flatten(0, 1)[slots]).to(self.dtype)


def quantise(x: Tensor, stored: str) -> tuple[Tensor, Tensor]:
    """x (T, G, D) -> numbers (T, G, D) in 8 bits and their scale (T, G) float32: x is about numbers · scale.

    A head of nothing but zeros has scale 1. Rounds to the nearest, ties to even.
    """
    kind, largest = STORED[stored]
    x = x.float()
    scale = x.abs().amax(-1) / largest
    scale = scale.masked_fill(scale == 0, 1.0)
    scaled = (x / scale[..., None]).clamp_(-largest, largest)
    return (scaled.round_() if kind == torch.int8 else scaled).to(kind), scale


def dequantise(numbers: Tensor, scale: Tensor) -> Tensor:
    """numbers (T, G, D) in 8 bits, scale (T, G) -> (T, G, D) float32."""
    return numbers.float() * scale[..., None]
