"""A step of an engine in loops of C, for whoever has a compiler.

What a step on a processor waits for is memory: every weight once, and every key and value. Torch's product of one row leaves
half of memory's speed unused, with eight rows half of the multipliers', and its attention wants pages copied into a row
first. The loops are what is left when nothing but the reading and the multiplying remains: `panels.c` is the product,
`pages.c` attention, `turn.c` what lies between them. Texts are float32, weights float32 or bfloat16.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from itertools import repeat

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.attention.paged import attend_paged
from minillm.attention.paged_plan import PagedPlan
from minillm.attention.pages import Pages
from minillm.cache.paged_batch import PagedBatch
from minillm.errors import Unsupported, rule_numbers_remedy
from minillm.measure.counters import charge
from minillm.serving.compute.huge_pages import hold_in_huge_pages
from minillm.serving.compute.loops import library
from minillm.serving.compute.packed_linear import Linear, Norm

WIDE = 16  # numbers in a vector of the loops
# The loop takes a text's queries one by one, and a key is read anew for each. Torch's call reads it once for many, which is
# quicker for many queries of a text with more keys than this for each query head of a key head: the rest is overhead.
FEW_QUERIES = 4
FEW_KEYS = 256


class _Matrix(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("panels", "bias")),
        *((name, ctypes.c_int64) for name in ("in", "steps", "out", "gated", "halves")),
    )


class Panels(Linear):
    """A copy in the panels that `panels.c` multiplies by: one row as fast as memory is read, many as fast as a core
    multiplies. A row's product has the same bits alone and in any company.

    `gated`: weight holds gates (F, in) and then what each lets through (F, in), and only `gated` may be asked for.
    `halves`: both weight and x are rounded to bfloat16, and their products summed in float32.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, gated: bool = False, halves: bool = False):
        if halves and not library().knows_halves():
            raise Unsupported(
                rule_numbers_remedy("bfloat16 needs a processor that multiplies it", "none", "use 'compiled'")
            )
        (out, size), columns = weight.shape, _columns(weight, gated)
        if halves:
            pairs = F.pad(columns, (0, size % 2)).bfloat16().unflatten(2, (-1, 2))
            self.panels = hold_in_huge_pages(pairs.transpose(1, 2).contiguous())
        else:
            self.panels = hold_in_huge_pages(columns.transpose(1, 2).contiguous())
        self.steps, self.halves = self.panels.shape[1], halves
        self.bias = None if bias is None else _columns(bias[:, None], gated).contiguous()
        self.matrix = _Matrix(
            self.panels.data_ptr(),
            None if self.bias is None else self.bias.data_ptr(),
            size,
            self.steps,
            out,
            gated,
            halves,
        )
        self.address, self.multiply = ctypes.addressof(self.matrix), library().times_panels
        self.size, self.out, self.width = size, out, out // 2 if gated else out

    def __call__(self, x: Tensor) -> Tensor:
        return self._times(x, -1.0, None, None)

    def add(self, total: Tensor, x: Tensor) -> Tensor:
        return self._times(x, -1.0, total, total if total.is_contiguous() else None)

    def after(self, norm: Norm, x: Tensor, room: Tensor | None = None) -> Tensor:
        """A norm's weight is in the panels; its root comes out of the sum as a factor, so x is not written anew."""
        return self._times(x, norm.floor, None, room)

    def gated(self, norm: Norm, x: Tensor, room: Tensor | None = None) -> Tensor:
        return self._times(x, norm.floor, None, room)

    def _times(self, x: Tensor, floor: float, total: Tensor | None, room: Tensor | None) -> Tensor:
        x = x if x.stride(-1) == 1 else x.contiguous()
        n = x.shape[0]
        y = x.new_empty((n, self.width)) if room is None else room
        roots = None if floor < 0 else x.new_empty(n)
        rounded = x.new_empty((n, self.steps)) if self.halves else None
        total = None if total is None else total.contiguous()
        self.multiply(
            self.address, x.data_ptr(), x.stride(0), floor, None if total is None else total.data_ptr(), y.data_ptr(), n,
            None if roots is None else roots.data_ptr(), None if rounded is None else rounded.data_ptr(),
            torch.get_num_threads(),
        )  # fmt: skip
        flops = 2 * n * self.out * self.size
        loaded = (2 if self.halves else 4) * self.out * self.size + 4 * n * self.size
        charge(bytes_loaded=loaded, bytes_stored=y.nbytes, flops=flops)
        return y


def _columns(weight: Tensor, gated: bool) -> Tensor:
    """weight (out, in) -> (number of panels, panel width, in). Gates, the first half of the rows, lie before what they let
    through in every panel."""
    width = library().panel_width()
    if not gated:
        return _cut(weight, width)
    return torch.cat([_cut(part, width // 2) for part in weight.chunk(2)], dim=1)


def _cut(weight: Tensor, width: int) -> Tensor:
    """weight (out, in) -> (⌈out / width⌉, width, in), zeros at the end of the last."""
    return F.pad(weight, (0, 0, 0, -len(weight) % width)).view(-1, width, weight.shape[1])


def can_turn(head_dim: int) -> bool:
    """Whether `turning` knows heads so wide: both halves are whole vectors."""
    return head_dim % (2 * WIDE) == 0


def turning(cos: Tensor, sin: Tensor) -> Callable[[Tensor], Tensor]:
    """cos, sin (1, D) or (T, 1, D) -> what turns heads (T, H, D) by them, in place."""
    loop, step, threads = library().turn, 0 if cos.dim() == 2 else cos.stride(0), torch.get_num_threads()
    cosine, sine = cos.data_ptr(), sin.data_ptr()

    def turn(x: Tensor) -> Tensor:
        n, heads, D = x.shape
        loop(x.data_ptr(), x.stride(0), cosine, sine, step, n, heads, D, threads)
        charge(bytes_loaded=x.nbytes + 8 * (n if step else 1) * D, bytes_stored=x.nbytes)
        return x

    return turn


def can_attend(batch: PagedBatch, num_heads: int) -> bool:
    """Whether `Attention` can serve a batch: a text for the loop, float32 pages not quantised, heads of whole vectors."""
    if not isinstance(batch, PagedBatch):  # another kind, which attends by itself
        return False
    pages = batch.cache.pages[0]
    plain = pages.k_scale is None and pages.k.dtype == torch.float32 and pages.k.device.type == "cpu"
    if not plain or pages.shape[-1] % WIDE or not pages.k.is_contiguous():
        return False
    return any(is_for_loop(*text) for text in _sizes(batch, num_heads // pages.shape[2]))


def is_for_loop(count: int, length: int, heads_per_key: int) -> bool:
    """Whether the loop is about as quick as torch, or quicker, for the last `count` tokens of a text."""
    return count <= FEW_QUERIES or length <= FEW_KEYS * heads_per_key


def _sizes(batch: PagedBatch, heads_per_key: int) -> Iterable[tuple[int, int, int]]:
    return zip(batch.counts, batch.lengths, repeat(heads_per_key))


class Attention:
    """A pass that `can_attend` says yes to, for every layer alike: what is new is kept, and read by the loop or, where that is quicker,
    by torch.

    To the loop each query is a text of its own, which ends where the query stands. So its bits depend on nothing else.
    """

    def __init__(self, batch: PagedBatch, num_heads: int):
        self.scratch, self.threads = batch.cache.scratch, torch.get_num_threads()
        self.rest: PagedPlan | None = None
        texts = list(zip(batch.counts, batch.lengths, batch.block_ids, strict=True))
        ours = [is_for_loop(*text) for text in _sizes(batch, num_heads // batch.cache.shape[3])]
        if not all(ours):
            mask = torch.tensor(ours).repeat_interleave(torch.tensor(batch.counts))
            self.few, self.many = mask.nonzero()[:, 0], (~mask).nonzero()[:, 0]
            long = [text for text, mine in zip(texts, ours, strict=True) if not mine]
            counts, lengths, tables = zip(*long, strict=True)
            self.rest = PagedPlan(counts, lengths, tables, batch.cache.pool.block_size)
            texts = [text for text, mine in zip(texts, ours, strict=True) if mine]
        ids: list[int] = []
        starts: list[int] = []
        self.lengths: list[int] = []
        for count, length, blocks in texts:
            starts += [len(ids)] * count
            self.lengths += range(length - count + 1, length + 1)
            ids += blocks
        self.tables = tuple(np.array(x, dtype=np.int64) for x in (ids, starts, self.lengths))
        self.addresses = [table.ctypes.data for table in self.tables]
        self.slots, self.seen = batch.slot_mapping, dict[int | None, int]()
        self.room = num_heads * -(-max(self.lengths) // WIDE) * WIDE
        self.scores = torch.empty(self.threads * self.room, dtype=torch.float32)

    def keep(self, k: Tensor, v: Tensor, pages: Pages) -> None:
        """k and v (T, G, D) of the new tokens, whose heads lie one behind the other -> their slots."""
        (T, G, D), keys, values = k.shape, pages.k, pages.v
        library().keep(
            k.data_ptr(), k.stride(0), v.data_ptr(), v.stride(0), self.slots.data_ptr(), T, G * D, keys.data_ptr(),
            values.data_ptr(),
        )  # fmt: skip
        charge(bytes_loaded=2 * k.nbytes + self.slots.nbytes, bytes_stored=2 * k.nbytes)

    def attend(self, q: Tensor, pages: Pages, window: int | None) -> Tensor:
        """q (T, H, D) -> (T, H, D); the heads of a text lie one behind the other."""
        if self.rest is None:
            return self._attend_few(q, pages, window)
        rest = attend_paged(q.index_select(0, self.many), pages, self.rest, self.scratch, window=window)
        out = torch.empty_like(q).index_copy_(0, self.many, rest)
        return out.index_copy_(0, self.few, self._attend_few(q.index_select(0, self.few), pages, window))

    def _attend_few(self, q: Tensor, pages: Pages, window: int | None) -> Tensor:
        (T, H, D), (_, P, G, _) = q.shape, pages.shape
        out = q.new_empty((T, H, D))
        library().attend_pages(
            q.data_ptr(), pages.k.data_ptr(), pages.v.data_ptr(), *self.addresses, T, H, G, D, P, window or 0, D**-0.5,
            q.stride(0), self.scores.data_ptr(), self.room, out.data_ptr(), self.threads,
        )  # fmt: skip
        if window not in self.seen:
            self.seen[window] = sum(min(length, window or length) for length in self.lengths)
        seen = self.seen[window]
        charge(bytes_loaded=4 * T * H * D + 8 * seen * G * D, bytes_stored=out.nbytes, flops=4 * seen * H * D)
        return out
