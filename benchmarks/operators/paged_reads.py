"""Attention over a paged cache, one new token a text or many: our kernel beside ours on a plain slab, and beside torch's.

All contestants attend to the same numbers, once as a slab and once in blocks that lie anywhere in a pool, so what paging
costs is a ratio of two rows of one case.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from decode_attention import SAMPLED_TEXTS, kept_lengths, known_options, own_keys
from plan import Case
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right
from truth import SAMPLED_ROWS, Sample, attention_rows, sample_rows

import minillm as ml
from minillm.attention.naive_paged import gather_blocks, naive_paged_attention
from minillm.cache.quantized import quantise
from minillm.measure import cost

Call = Callable[[], object]


class Operands(NamedTuple):
    """What a call may need: the slab k and v (B, S, G, D), and the same in blocks (num_blocks, P, G, D)."""

    q: Tensor  # (T, H, D), L tokens a text
    k: Tensor
    v: Tensor
    k_cache: Tensor
    v_cache: Tensor
    block_table: Tensor  # (B, max_blocks)
    seq_lens: Tensor  # (B,)
    query_start_loc: Tensor  # (B + 1,)
    k_scale: Tensor | None  # (num_blocks, P, G) with a cache of int8
    v_scale: Tensor | None


def operands(case: Case, random: torch.Generator) -> Operands:
    """Random texts, in blocks that lie in a random order."""
    B, L, S, H, G, D = (case.shape[letter] for letter in "BLSHGD")
    dtype, device = getattr(torch, case.dtype), random.device
    q, k, v = (
        torch.randn(shape, generator=random, device=device).to(dtype)
        for shape in ((B * L, H, D), (B, S, G, D), (B, S, G, D))
    )
    table = scattered_blocks(B, S, case.shape["P"], random)
    slots = slots_of(table, S, case.shape["P"])
    caches = [in_blocks(x, slots, table.numel(), case.shape["P"]) for x in (k, v)]
    scales: list[Tensor | None] = [None, None]
    if case.options.get("cache") == "int8":
        (caches[0], scales[0]), (caches[1], scales[1]) = (quantise(x, "int8") for x in caches)
    lens = torch.tensor(kept_lengths(case), dtype=torch.int32, device=device)
    starts = torch.arange(B + 1, dtype=torch.int32, device=device) * L
    return Operands(q, k, v, *caches, table, lens, starts, *scales)


def scattered_blocks(batch: int, length: int, block_size: int, random: torch.Generator) -> Tensor:
    """A block table (B, max_blocks) of a pool that is full, in random order."""
    pages = -(-length // block_size)
    order = torch.randperm(batch * pages, generator=random, device=random.device)
    return order.view(batch, pages).to(torch.int32)


def slots_of(block_table: Tensor, length: int, block_size: int) -> Tensor:
    """block_table (B, max_blocks) -> where each text's first `length` tokens lie (B, length): block · P + offset."""
    positions = torch.arange(length, device=block_table.device)
    return block_table.long()[:, positions // block_size] * block_size + positions % block_size


def in_blocks(x: Tensor, slots: Tensor, num_blocks: int, block_size: int) -> Tensor:
    """x (B, S, G, D) -> (num_blocks, P, G, D) with every token in its slot, and zeros where there is none."""
    cache = x.new_zeros(num_blocks * block_size, *x.shape[2:])
    cache[slots.flatten()] = x.flatten(0, 1)
    return cache.view(num_blocks, block_size, *x.shape[2:])


def call(case: Case, name: str, *operands: Tensor | None) -> Call:
    """A contestant by name -> the call. "… contiguous" reads the slab, "torch gather" first makes one out of the blocks."""
    o, L = Operands(*operands), case.shape["L"]
    paged = (*o[3:8], L)
    scales = {} if o.k_scale is None else {"k_scale": o.k_scale, "v_scale": o.v_scale}
    if name == "triton":
        return partial(ml.kernels.paged_attention, o.q, *paged, **scales)
    if name == "naive":
        return partial(naive_paged_attention, o.q, *paged, **scales)
    if name == "sdpa":
        from minillm.attention.paged import paged_attention

        return partial(paged_attention, o.q, *paged, **scales)
    if name == "triton contiguous" and L == 1:
        return partial(ml.kernels.flash_decode, o.q, o.k, o.v, o.seq_lens)
    if name == "triton contiguous":
        q = o.q.view(len(o.k), L, *o.q.shape[1:])
        return lambda: ml.kernels.flash_attention(q, o.k, o.v, causal=True).flatten(0, 1)
    if name == "torch varlen":
        return _varlen(o, L, case.shape["S"])
    return partial(_gather, o, L, case.shape["S"], own_keys(case, o.seq_lens))


def truth(case: Case, operands: tuple[Tensor | None, ...], random: torch.Generator) -> list[Sample]:
    """A few rows of a few texts, all heads, against what the blocks hold."""
    o, L, lengths = Operands(*operands), case.shape["L"], kept_lengths(case)
    samples = []
    for b in sample_rows(len(lengths), SAMPLED_TEXTS, random).tolist():
        k, v = (
            gather_blocks(cache, o.block_table[b], lengths[b], None if scale is None else scale.double())
            for cache, scale in ((o.k_cache, o.k_scale), (o.v_cache, o.v_scale))
        )
        rows = sample_rows(L, max(4, SAMPLED_ROWS // len(lengths)), random)
        want = attention_rows(o.q[b * L : (b + 1) * L], k, v, rows, True)
        samples.append(Sample(lambda out, picked=rows + b * L: out[picked], want))
    return samples


def price(case: Case, element_size: int) -> tuple[int | None, int]:
    """Useful FLOPs of prompts; queries, kept keys and values, and the output once, and an int8 cache's 4 bytes a token and head."""
    L, H, G, D = (case.shape[letter] for letter in "LHGD")
    flops = moved = 0
    for length in kept_lengths(case):
        flops += cost.attention_flops(1, L, length, H, D, causal=True).useful
        kept = D + 4 if case.options.get("cache") == "int8" else D * element_size
        moved += 2 * L * H * D * element_size + 2 * length * G * kept
    return flops if L > 1 else None, moved


def _varlen(o: Operands, L: int, S: int) -> Call:
    from torch.nn.attention.varlen import varlen_attn

    options = known_options(
        varlen_attn, window_size=(-1, 0), seqused_k=o.seq_lens, block_table=o.block_table, enable_gqa=True
    )
    if not {"block_table", "window_size"} <= set(options):
        raise NotImplementedError("this release's varlen_attn takes no block table")
    return partial(varlen_attn, o.q, o.k_cache, o.v_cache, o.query_start_loc, None, L, S, **options)


def _gather(o: Operands, L: int, S: int, seen: Tensor | None) -> Tensor:
    """What plain torch does with a paged cache: copy every text's blocks into a slab at each call, and attend to that."""
    B, G = len(o.seq_lens), o.k_cache.shape[2]
    k, v = (
        _slab(x, scale, o.block_table, S, o.q.dtype) for x, scale in ((o.k_cache, o.k_scale), (o.v_cache, o.v_scale))
    )
    if L == 1:
        return F.scaled_dot_product_attention(o.q.unflatten(1, (G, -1)), k, v, attn_mask=seen).flatten(1, 2)
    q = o.q.view(B, L, *o.q.shape[1:]).transpose(1, 2)
    mask = {"is_causal": True} if L == S else {"attn_mask": causal_lower_right(L, S)}
    return F.scaled_dot_product_attention(q, k, v, enable_gqa=True, **mask).transpose(1, 2).flatten(0, 1)


def _slab(cache: Tensor, scale: Tensor | None, block_table: Tensor, S: int, dtype: torch.dtype) -> Tensor:
    """cache (num_blocks, P, G, D), block_table (B, max_blocks) -> (B, G, S, D), multiplied by its factors if it has some."""
    blocks = block_table.long()
    slab = cache[blocks].flatten(1, 2)[:, :S]
    if scale is not None:
        slab = slab.to(dtype) * scale[blocks].flatten(1, 2)[:, :S, :, None].to(dtype)
    return slab.transpose(1, 2)
