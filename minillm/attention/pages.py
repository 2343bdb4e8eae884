"""Fetching pages: a few blocks of the cache, from wherever they lie, laid one behind the other in a small buffer.

A processor's cache does for us what shared memory does for a kernel: the copy is small enough to stay in it, so memory is
read once, by the copying, and what attends to the copy hardly waits. The buffer is used again for the next pages.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# One text's keys are fetched and attended to this much at a time. Smaller tiles cost more calls, larger ones leave the
# processor's cache: for 4,000 to 16,000 tokens 1 to 2 MiB were best, with both a 1 MiB and a 2 MiB second-level cache.
TILE_BYTES = 2**21


class Pages(NamedTuple):
    """One layer's cache: k and v (num_blocks, P, G, D), with scales (num_blocks, P, G) if they are int8 or float8_e4m3fn."""

    k: Tensor
    v: Tensor
    k_scale: Tensor | None = None
    v_scale: Tensor | None = None

    @property
    def page_bytes(self) -> int:
        """Bytes of one block's keys, as they are attended to: at least 4 a number, whatever is stored."""
        _, P, G, D = self.k.shape
        return P * G * D * max(4, self.k.element_size())

    @property
    def can_be_viewed(self) -> bool:
        """Whether neighbouring blocks can be read where they are: numbers to be scaled have to be copied anyway."""
        return self.k_scale is None and self.k.is_contiguous() and self.v.is_contiguous()


class Scratch:
    """Buffers by name, kept from call to call, so that a step of decoding asks for no memory.

    What is larger than a tile is made for the one call. Never made in inference mode: other calls could not write to it.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """-> a contiguous tensor of this shape, holding anything; the next `take` of the name hands out the same memory."""
        count = 1
        for size in shape:
            count *= size
        if count * dtype.itemsize > TILE_BYTES:
            return torch.empty(shape, dtype=dtype, device=device)
        key = name, dtype, device
        buffer = self._buffers.get(key)
        if buffer is None or len(buffer) < count:
            with torch.inference_mode(False):
                buffer = self._buffers[key] = torch.empty(count, dtype=dtype, device=device)
        return buffer[:count].view(shape)


def view_pages(pages: Pages, first_slot: int, count: int) -> tuple[Tensor, Tensor]:
    """-> k and v (count, G, D) of `count` slots in a row, where they lie: nothing is copied."""
    return pages.k.flatten(0, 1)[first_slot : first_slot + count], pages.v.flatten(0, 1)[
        first_slot : first_slot + count
    ]


def fetch_pages(pages: Pages, block_ids: Tensor, dtype: torch.dtype, scratch: Scratch) -> tuple[Tensor, Tensor]:
    """block_ids (n,) int64 -> k and v (n · P, G, D) in `dtype`, copied into the scratch; the next fetch overwrites them."""
    return (
        _fetch("k", pages.k, pages.k_scale, block_ids, dtype, scratch),
        _fetch("v", pages.v, pages.v_scale, block_ids, dtype, scratch),
    )


def _fetch(
    name: str, cache: Tensor, scale: Tensor | None, block_ids: Tensor, dtype: torch.dtype, scratch: Scratch
) -> Tensor:
    shape = (len(block_ids), *cache.shape[1:])
    out = scratch.take(name, shape, dtype, cache.device)
    if scale is None:
        torch.index_select(cache, 0, block_ids, out=out)
        return out.flatten(0, 1)
    stored = cache.view(torch.int8)
    raw = scratch.take(f"{name} stored", shape, torch.int8, cache.device)
    scales = scratch.take(f"{name} scales", shape[:3], scale.dtype, cache.device)
    torch.index_select(stored, 0, block_ids, out=raw)
    torch.index_select(scale, 0, block_ids, out=scales)
    if cache.dtype == torch.int8:
        out.copy_(raw)
    else:
        out.copy_(widen_float8(raw))
    return out.mul_(scales[..., None]).flatten(0, 1)


def widen_float8(raw: Tensor) -> Tensor:
    """The bytes of float8_e4m3fn as int8 (…) -> their values (…) in float32, NaN aside.

    A byte's exponent and fraction, moved up by 7 bits, are those of a float16 that is 2**8 times too small, subnormals
    included. Torch converts one number at a time; these are five steps over whole vectors, about ten times as fast.
    """
    bits = (
        raw.to(torch.int16).bitwise_left_shift_(7).bitwise_and_(~0x4000)
    )  # the sign is in bit 15, its copy in 14 goes
    return bits.view(torch.float16).to(torch.float32).mul_(256.0)
