"""Paged attention in torch: the kernel's programs one after the other, in loops anybody can step through.

One program owns a few consecutive queries of one text, all the heads of them that share a KV head, and one run of the
keys they may see. Before each tile of keys it asks the block table where the tile lies: in one block, or scattered over
several, a slot at a time. `kernels/paged_attention.py` is the same in Triton: same names, same tiles, same bytes.

Tile r of text b, KV head g, four lines:

    row i of the tile    token i // GROUP of the tile, head g · GROUP + i % GROUP      GROUP = H / G
    key s lies in        block block_table[b, s // P], slot s % P
    row i sees key s iff s <= S - L + token, and s > S - L + token - window
    quantised            scores *= k_scale[key], p *= v_scale[key]      cheaper than scaling the tiles
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from minillm.attention.tiled import LN_2, LOG2_E, fold_scale
from minillm.attention.tiled_decode import merge_splits
from minillm.attention.validate_paged import validate_paged
from minillm.measure.chip import load, on_chip, store
from minillm.measure.numbers import require_whole
from minillm.measure.paged_cost import cut_range, find_text, paged_rows
from minillm.measure.splits import require_splits
from minillm.measure.tiles import key_range, padded_width


@dataclass(frozen=True)
class _Call:
    """What every program of one call is given; `block_q` tokens a tile, `block_m` rows."""

    k_cache: Tensor
    v_cache: Tensor
    k_scale: Tensor | None
    v_scale: Tensor | None
    window: int | None
    softcap: float
    scale: float
    num_splits: int
    block_m: int
    block_q: int
    block_s: int


def tiled_paged_attention(
    q: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    block_table: Tensor,
    seq_lens: Tensor,
    query_start_loc: Tensor,
    max_query_len: int,
    *,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
    scale: float | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
    num_splits: int = 1,
    return_lse: bool = False,
    block_l: int = 16,
    block_s: int = 64,
) -> Tensor | tuple[Tensor, Tensor]:
    """q (T, H, D), k_cache and v_cache (num_blocks, P, G, D) -> out (T, H, D), and lse (H, T) in natural log if asked for.

    Arguments mean what they mean in `naive_paged_attention`. Tiles are `block_l` rows, tokens times the heads of a
    group, by `block_s` keys, and each tile's keys are cut into `num_splits` runs; any numbers give the same answer up to
    rounding. State is float32, or float64 for float64 input. Raises InvalidValue or InvalidType before any work.
    Source: Kwon et al., "PagedAttention" (2023).
    """
    validate_paged(
        q, k_cache, v_cache, block_table, seq_lens, query_start_loc, max_query_len, window=window, softcap=softcap,
        sinks=sinks, scale=scale, k_scale=k_scale, v_scale=v_scale, return_lse=return_lse,
    )  # fmt: skip
    require_splits(num_splits)
    require_whole(block_l=block_l, block_s=block_s)
    (T, H, D), G, B = q.shape, k_cache.shape[2], seq_lens.shape[0]
    block_m, block_q = paged_rows(block_l, H, G)
    decode = max_query_len == 1 and T == B  # every text has one query, so nothing has to be looked for
    state = torch.float64 if q.dtype == torch.float64 else torch.float32
    out = torch.empty(T, H, D, dtype=q.dtype, device=q.device)
    lse = torch.empty(T, H, dtype=state, device=q.device)
    outs, lses = out[None], lse[None]
    if num_splits > 1:
        outs = torch.empty(num_splits, T, H, D, dtype=state, device=q.device)
        lses = torch.empty(num_splits, T, H, dtype=state, device=q.device)
    q, scale = fold_scale(q, scale)
    block_q = 1 if decode else block_q
    call = _Call(k_cache, v_cache, k_scale, v_scale, window, softcap, scale, num_splits, block_m, block_q, block_s)
    q_tiles = B if decode else T // block_q + B
    for tile in range(0 if q.is_meta or not T else q_tiles):
        for split in range(num_splits):
            for g in range(G):
                with on_chip():  # one program of the kernel
                    found = (tile, 0, tile, 1) if decode else find_tile(query_start_loc, tile, block_q)
                    if found is None:
                        continue  # there are tiles enough for the worst case
                    b, q_tile, row_q, L = found
                    group, rows = slice(g * (H // G), (g + 1) * (H // G)), slice(row_q, row_q + L)
                    sink = None if sinks is None else sinks[group]
                    attend_program(
                        q[rows, group], block_table[b], seq_lens[b : b + 1], sink, outs[split, rows, group],
                        lses[split, rows, group], (g, q_tile, split), call,
                    )  # fmt: skip
    if num_splits > 1 and not q.is_meta:
        merge_splits(outs, lses, out, lse)
    return (out, lse.T) if return_lse else out


def find_tile(query_start_loc: Tensor, tile: int, block_q: int) -> tuple[int, int, int, int] | None:
    """query_start_loc (B + 1,) and the number of a tile -> (text, tile within it, its first row, its queries), or None."""
    b, reads = find_text(query_start_loc.tolist(), tile, block_q)
    load(query_start_loc[:1].expand(reads).clone())  # what the bisection looked at
    row_q, end_q = load(query_start_loc[b : b + 2]).tolist()
    q_tile = -(-(end_q - row_q) // block_q) - 1 - (tile - (row_q // block_q + b))  # the longest rows start first
    return None if q_tile < 0 else (b, q_tile, row_q, end_q - row_q)


def attend_program(
    q: Tensor,
    block_ids: Tensor,
    seq_lens: Tensor,
    sinks: Tensor | None,
    out: Tensor,
    lse: Tensor,
    place: tuple[int, int, int],
    call: _Call,
) -> None:
    """One program: a text's q and out (L, GROUP, D), lse (L, GROUP), sinks (GROUP,); `place` is (g, q_tile, split)."""
    (L, group, D), (g, q_tile, split), state = q.shape, place, lse.dtype
    S, block_d = int(load(seq_lens)), padded_width(D)
    tokens = slice(q_tile * call.block_q, min((q_tile + 1) * call.block_q, L))
    rows = (tokens.stop - tokens.start) * group
    q_block = load(q[tokens], shape=(tokens.stop - tokens.start, group, block_d)).flatten(0, 1)
    q_block = torch.nn.functional.pad(q_block, (0, 0, 0, call.block_m - rows))  # (block_m, block_d)
    offs_l = tokens.start + torch.arange(call.block_m, device=q.device) // group
    positions = offs_l + S - L  # where each row's query stands among the keys
    visited = key_range(q_tile, L, S, call.block_q, call.block_s, causal=True, window=call.window)

    acc = torch.zeros(call.block_m, block_d, dtype=state, device=q.device)
    m = torch.full((call.block_m,), -math.inf, dtype=state, device=q.device)
    l = torch.zeros(call.block_m, dtype=state, device=q.device)
    if sinks is not None and split == 0:  # a sink counts once: in the first run
        m[:rows] = load(sinks.repeat(tokens.stop - tokens.start)).to(state) * LOG2_E
        l[:rows] = 1.0
    run = cut_range(visited, split, call.num_splits, call.block_s)
    for s_tile, masked in run.tiles(call.block_s):
        acc, l, m = attend_pages(acc, l, m, q_block, block_ids, g, s_tile, visited.end, positions, masked, call)

    if call.v_scale is not None:
        acc = acc / 64
    l_safe = torch.where(l == 0, 1.0, l)  # a row that saw nothing: 0 / 1, and lse = -inf + 0
    store(out[tokens], (acc / l_safe[:, None])[:rows, :D].unflatten(0, (-1, group)))
    store(lse[tokens], ((m + torch.log2(l_safe)) * LN_2)[:rows].unflatten(0, (-1, group)))


def attend_pages(
    acc: Tensor,
    l: Tensor,
    m: Tensor,
    q: Tensor,
    block_ids: Tensor,
    g: int,
    s_tile: int,
    limit: int,
    positions: Tensor,
    masked: bool,
    call: _Call,
) -> tuple[Tensor, Tensor, Tensor]:
    """acc (block_m, block_d), l and m (block_m,), and the tile of keys that starts at `s_tile` -> the three after it."""
    block_s, P = call.block_s, call.k_cache.shape[1]
    offs_s = torch.arange(s_tile, min(s_tile + block_s, limit), device=q.device)
    if P % block_s == 0:  # the tile lies in one block
        blocks = load(block_ids[s_tile // P : s_tile // P + 1]).expand(len(offs_s)).long()
    else:
        blocks = load(block_ids[offs_s // P]).long()
    slots = offs_s % P
    shape = (block_s, q.shape[1])
    k = load(call.k_cache[blocks, slots, g], shape=shape)  # (block_s, block_d)
    s = q.to(acc.dtype) @ k.to(acc.dtype).T  # (block_m, block_s)
    if call.k_scale is not None:
        s = s * load(call.k_scale[blocks, slots, g], shape=(block_s,))
    if call.softcap:
        unit = min(call.scale / call.softcap, torch.finfo(acc.dtype).max)  # 0 times infinity would be NaN
        s = call.softcap * LOG2_E * torch.tanh(s * unit)
    else:
        s = s * (call.scale * LOG2_E)
    if masked:
        keys = torch.arange(s_tile, s_tile + block_s, device=q.device)
        visible = (keys < limit)[None, :] & (keys[None, :] <= positions[:, None])
        if call.window is not None:
            visible = visible & (keys[None, :] > positions[:, None] - call.window)
        s = s.masked_fill(~visible, -math.inf)
    m_new = torch.maximum(m, s.amax(1))
    m_safe = torch.where(m_new == -math.inf, 0.0, m_new)  # a row that has seen nothing: -inf - -inf would be NaN
    p = torch.exp2(s - m_safe[:, None])
    alpha = torch.exp2(m - m_safe)
    l = l * alpha + p.sum(1)
    v = load(call.v_cache[blocks, slots, g], shape=shape)  # (block_s, block_d)
    if call.v_scale is not None:
        # A scale is a value / 127: times 64 the product keeps to the range of values, where float16 is precise.
        p = p * 64 * load(call.v_scale[blocks, slots, g], shape=(block_s,))
    acc = acc * alpha[:, None] + p.to(q.dtype).to(acc.dtype) @ v.to(acc.dtype)
    return acc, l, m_new
