"""Fetching pages: a few blocks of the cache, from wherever they lie, laid one behind the other in a small buffer.

A processor's cache does for us what shared memory does for a kernel: the copy is small enough to stay in it, so memory is
read once, by the copying, and what attends to the copy hardly waits. The buffer is used again for the next pages.
"""

from __future__ import annotations

import torch
from torch import Tensor

# One text's keys are fetched and attended to this much at a time. Smaller tiles cost more calls, larger ones leave the
# processor's cache: for 4,000 to 16,000 tokens 1 to 2 MiB were best, beside a second-level cache of 1 MiB.
TILE_BYTES = 2**21


class Pages:
    """One layer's cache: k and v (num_blocks, P, G, D), with scales (num_blocks, P, G) if they are int8 or float8_e4m3fn.

    `page_bytes` are those of one block's keys as they are attended to: at least 4 a number, whatever is stored.
    `by_head` is k and v as (1, G, num_blocks · P, D), for blocks that lie in a row; None where that would be no view.
    `both` is the tensor (2, num_blocks, P, G, D) that k and v are the halves of, if they are: a block's are fetched at once.
    """

    def __init__(
        self,
        k: Tensor,
        v: Tensor,
        k_scale: Tensor | None = None,
        v_scale: Tensor | None = None,
        *,
        both: Tensor | None = None,
    ):
        self.k, self.v, self.k_scale, self.v_scale, self.both = k, v, k_scale, v_scale, both
        _, P, G, D = self.shape = k.shape
        self.page_bytes = P * G * D * max(4, k.element_size())
        self.by_head: tuple[Tensor, Tensor] | None = None
        if k_scale is None and k.is_contiguous() and v.is_contiguous():
            self.by_head = (k.flatten(0, 1).transpose(0, 1)[None], v.flatten(0, 1).transpose(0, 1)[None])


class Scratch:
    """Buffers kept from pass to pass, so that a step of decoding asks for no memory. One use at a time.

    What is larger than a tile is made for the one call. Never made in inference mode: other calls could not write to it.
    """

    def __init__(self) -> None:
        self._memory: dict[tuple[str, torch.dtype], Tensor] = {}
        self._buffers: dict[tuple[int, torch.dtype], PageBuffer] = {}

    def buffer(self, pages: Pages, count: int, dtype: torch.dtype) -> PageBuffer:
        """-> room for `count` pages in `dtype`. Pages are alike at every call."""
        if count * pages.page_bytes > TILE_BYTES:
            return PageBuffer(pages, count, dtype, self)
        found = self._buffers.get((count, dtype))
        if found is None:
            found = self._buffers[count, dtype] = PageBuffer(pages, count, dtype, self)
        return found

    def take(self, name: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, most: int) -> Tensor:
        """-> a contiguous tensor of this shape, holding anything; the next `take` of the name hands out the same memory.

        Unless it is larger than `most` bytes, which are the same at every call of the name.
        """
        count = torch.Size(shape).numel()
        with torch.inference_mode(False):
            if count * max(4, dtype.itemsize) > most:
                return torch.empty(shape, dtype=dtype, device=device)
            if (name, dtype) not in self._memory:
                # Reserved whole: what is never touched is never there.
                self._memory[name, dtype] = torch.empty(most // 4, dtype=dtype, device=device)
            return self._memory[name, dtype][:count].view(shape)


class PageBuffer:
    """k and v (n, P, G, D) for `count` pages in `dtype`, which any layer's `fetch` fills; `slots` is both, (n · P, G, D) each.

    All buffers of one Scratch share its memory, so what is fetched must be used before anything else is fetched.
    """

    def __init__(self, pages: Pages, count: int, dtype: torch.dtype, scratch: Scratch):
        shape, device = (count, *pages.shape[1:]), pages.k.device
        self.both = scratch.take("both", (2, *shape), dtype, device, 2 * TILE_BYTES)
        self.k, self.v = self.both.unbind()
        self.slots = self.both.flatten(1, 2).unbind()
        self._by_head: dict[int, tuple[Tensor, Tensor]] = {}
        if pages.k_scale is not None:
            self.stored = scratch.take("stored", shape, torch.int8, device, TILE_BYTES)
            self.scale = scratch.take("scale", shape[:3], pages.k_scale.dtype, device, TILE_BYTES)

    def by_head(self, texts: int) -> tuple[Tensor, Tensor]:
        """k and v as (texts, G, slots of each, D)."""
        if texts not in self._by_head:
            shape = texts, -1, *self.k.shape[2:]
            self._by_head[texts] = self.k.view(shape).transpose(1, 2), self.v.view(shape).transpose(1, 2)
        return self._by_head[texts]

    def fetch(self, pages: Pages, block_ids: Tensor) -> None:
        """Copy blocks (n,) int64 of a layer in, widened if they are stored in 8 bits."""
        if pages.both is not None:
            torch.index_select(pages.both, 1, block_ids, out=self.both)
        elif pages.k_scale is None or pages.v_scale is None:
            torch.index_select(pages.k, 0, block_ids, out=self.k)
            torch.index_select(pages.v, 0, block_ids, out=self.v)
        else:
            self._widen(pages.k, pages.k_scale, block_ids, self.k)
            self._widen(pages.v, pages.v_scale, block_ids, self.v)

    def _widen(self, cache: Tensor, scale: Tensor, block_ids: Tensor, out: Tensor) -> None:
        # Moved as bytes: index_select knows no float8.
        torch.index_select(cache.view(torch.int8), 0, block_ids, out=self.stored)
        torch.index_select(scale, 0, block_ids, out=self.scale)
        out.copy_(self.stored if cache.dtype == torch.int8 else widen_float8(self.stored))
        out.mul_(self.scale[..., None])


def widen_float8(stored: Tensor) -> Tensor:
    """The bytes of float8_e4m3fn as int8 (…) -> their values (…) in float32, NaN aside.

    A byte's exponent and fraction, moved up by 7 bits, are those of a float16 that is 2**8 times too small, subnormals
    included. Torch converts one number at a time; these are five steps over whole vectors.
    """
    bits = (
        stored.to(torch.int16).bitwise_left_shift_(7).bitwise_and_(~0x4000)
    )  # the sign is in bit 15, its copy in 14 goes
    return bits.view(torch.float16).to(torch.float32).mul_(256.0)
