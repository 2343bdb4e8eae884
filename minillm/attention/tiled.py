"""Flash attention in torch: the kernel's walk over tiles, in loops anybody can step through.

For one block of queries the keys and values come in tiles. Three things are kept while they pass: `m`, the largest score
so far; `l`, the sum of exponentials so far; `acc`, the output so far; all relative to `m`. When a tile brings a larger
score, `l` and `acc` shrink by the same factor and nothing already seen has to be read again. `kernels/flash_attention.py`
is the same walk in Triton: same names, same order, same tiles, same bytes.

One tile, five lines (scores in units of log2, so that exp is one exp2):

    s     = q @ k.T * scale, and -inf where the row may not look
    m'    = max(m, max(s))
    p     = exp2(s - m')
    l     = l * exp2(m - m') + sum(p)
    acc   = acc * exp2(m - m') + p @ v          at the end: out = acc / l, lse = m + log2(l)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from minillm.attention.validate import validate
from minillm.measure.chip import load, on_chip, store
from minillm.measure.numbers import require_whole
from minillm.measure.tiles import key_range, padded_width

LOG2_E = math.log2(math.e)
LN_2 = math.log(2.0)


@dataclass(frozen=True)
class TileVisit:
    """One tile of keys as a block of queries left it: where it was, and the state of the block's rows afterwards.

    `m` and `l` (rows,) are in natural units, as `exp(score - m)`; `acc_norm` (rows,) is the length of each row's output so
    far. `bytes_loaded` and `flops` are this tile's keys, values and dots; `masked` tells whether a mask was needed.
    """

    b: int
    h: int
    q_tile: int
    s_tile: int
    masked: bool
    m: Tensor
    l: Tensor
    acc_norm: Tensor
    bytes_loaded: int
    flops: int


@dataclass(frozen=True)
class TileOptions:
    """What a walk over tiles needs beyond its tensors: masks, scores, tile sizes in rows and keys, and who is told of a visit."""

    causal: bool
    window: int | None
    softcap: float
    scale: float
    block_l: int
    block_s: int
    record: Callable[[TileVisit], object] | None


def tiled_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = False,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
    scale: float | None = None,
    return_lse: bool = False,
    block_l: int = 64,
    block_s: int = 64,
    record: Callable[[TileVisit], object] | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """q (B, L, H, D), k and v (B, S, G, D) -> out (B, L, H, D), and lse (B, H, L) in natural log if `return_lse`.

    Options mean what they mean in `ml.attention`. Tiles are `block_l` queries by `block_s` keys; any sizes give the same
    answer up to rounding. `record` is called with a `TileVisit` after every tile, e.g. `record=visits.append`, and costs
    nothing when absent. State is float32, or float64 for float64 input. Raises InvalidValue or InvalidType before any work.
    Source: Milakov and Gimelshein 2018 (online softmax); Dao, "FlashAttention-2" (2023).
    """
    validate(q, k, v, causal, window, softcap, sinks, scale, return_lse)
    require_whole(block_l=block_l, block_s=block_s)
    (B, L, H, D), G = q.shape, k.shape[2]
    q, scale = fold_scale(q, scale)
    options = TileOptions(causal, window, softcap, scale, block_l, block_s, record)
    state = torch.float64 if q.dtype == torch.float64 else torch.float32
    out = torch.empty(B, L, H, D, dtype=q.dtype, device=q.device)
    lse = torch.empty(B, H, L, dtype=state, device=q.device)
    for b in range(B):
        for h in range(H):
            g = h // (H // G)
            sink = None if sinks is None else sinks[h : h + 1]
            for q_tile in range(-(-L // block_l)):
                with on_chip():  # one program of the kernel
                    place = (b, h, q_tile)
                    attend_rows(q[b, :, h], k[b, :, g], v[b, :, g], out[b, :, h], lse[b, h], sink, place, options)
    return (out, lse) if return_lse else out


def attend_rows(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    sink: Tensor | None,
    place: tuple[int, int, int],
    options: TileOptions,
) -> None:
    """One block of queries of one head: q, out (L, D), k, v (S, D), lse (L,), sink (1,); `place` is (b, h, q_tile)."""
    (L, D), S, q_tile = q.shape, k.shape[0], place[2]
    block_l, block_s, state = options.block_l, options.block_s, lse.dtype
    rows = slice(q_tile * block_l, min((q_tile + 1) * block_l, L))
    block_d = padded_width(D)
    q_block = load(q[rows], shape=(block_l, block_d))  # (block_l, block_d)
    positions = torch.arange(q_tile * block_l, (q_tile + 1) * block_l, device=q.device) + S - L

    acc = torch.zeros(block_l, block_d, dtype=state, device=q.device)
    if sink is None:
        m = torch.full((block_l,), -math.inf, dtype=state, device=q.device)
        l = torch.zeros(block_l, dtype=state, device=q.device)
    else:
        m = load(sink).to(state).expand(block_l) * LOG2_E
        l = torch.ones(block_l, dtype=state, device=q.device)

    tiles = key_range(q_tile, L, S, block_l, block_s, causal=options.causal, window=options.window)
    for s_tile, masked in tiles.tiles(block_s):
        acc, l, m = attend_tile(acc, l, m, q_block, k, v, s_tile, positions, masked, options)
        if options.record is not None:
            options.record(_visit(acc, l, m, k, place, s_tile, masked, rows.stop - rows.start, options))

    l_safe = torch.where(l == 0, 1.0, l)  # a row that saw nothing: 0 / 1, and lse = -inf + 0
    store(out[rows], (acc / l_safe[:, None])[:, :D])
    store(lse[rows], (m + torch.log2(l_safe)) * LN_2)


def attend_tile(
    acc: Tensor,
    l: Tensor,
    m: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    s_tile: int,
    positions: Tensor,
    masked: bool,
    options: TileOptions,
) -> tuple[Tensor, Tensor, Tensor]:
    """acc (block_l, block_d), l and m (block_l,), and the tile of keys that starts at `s_tile` -> the three after it."""
    S, block_s = k.shape[0], options.block_s
    shape = (block_s, q.shape[1])
    keys = slice(s_tile, min(s_tile + block_s, S))
    k_tile = load(k[keys], shape=shape)  # (block_s, block_d)
    s = q.to(acc.dtype) @ k_tile.to(acc.dtype).T  # (block_l, block_s)
    if options.softcap:
        unit = min(options.scale / options.softcap, torch.finfo(acc.dtype).max)  # 0 times infinity would be NaN
        s = options.softcap * LOG2_E * torch.tanh(s * unit)
    else:
        s = s * (options.scale * LOG2_E)
    if masked:
        offs_s = torch.arange(s_tile, s_tile + block_s, device=q.device)
        s = s.masked_fill(~_visible(offs_s, positions, S, options), -math.inf)
    m_new = torch.maximum(m, s.detach().amax(1))
    m_safe = torch.where(m_new == -math.inf, 0.0, m_new)  # a row that has seen nothing: -inf - -inf would be NaN
    p = torch.exp2(s - m_safe[:, None])
    alpha = torch.exp2(m - m_safe)
    v_tile = load(v[keys], shape=shape)  # (block_s, block_d)
    acc = acc * alpha[:, None] + p.to(v.dtype).to(acc.dtype) @ v_tile.to(acc.dtype)
    l = l * alpha + p.sum(1)
    return acc, l, m_new


def fold_scale(q: Tensor, scale: float | None) -> tuple[Tensor, float]:
    """q (…, D) and a positive scale with the same product: the kernel scales a maximum, which a negative one would turn."""
    if scale is None:
        return q, 1 / math.sqrt(q.shape[-1])
    if scale > 0:
        return q, float(scale)
    return (-q, -float(scale)) if scale < 0 else (q * 0, 1.0)


def _visible(offs_s: Tensor, positions: Tensor, S: int, options: TileOptions) -> Tensor:
    """Which keys (block_s,) the queries at `positions` (block_l,) may see: bool (block_l, block_s)."""
    visible = (offs_s < S)[None, :].expand(len(positions), -1)
    if options.causal:
        visible = visible & (offs_s[None, :] <= positions[:, None])
    if options.window is not None:
        visible = visible & (offs_s[None, :] > positions[:, None] - options.window)
    return visible


def _visit(
    acc: Tensor,
    l: Tensor,
    m: Tensor,
    k: Tensor,
    place: tuple[int, int, int],
    s_tile: int,
    masked: bool,
    rows: int,
    options: TileOptions,
) -> TileVisit:
    keys = min(options.block_s, k.shape[0] - s_tile)
    with torch.no_grad():
        state = (m[:rows] * LN_2, l[:rows].clone(), acc[:rows].norm(dim=1))
    moved = 2 * keys * k.shape[1] * k.element_size()
    return TileVisit(*place, s_tile, masked, *state, moved, 4 * options.block_l * options.block_s * acc.shape[1])
