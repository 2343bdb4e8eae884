"""Flash attention backwards in torch: gradients without the scores, in loops anybody can step through.

The forward kept out and one number a row, the lse. Knowing it, a score's probability is one exp away, so nothing of size
L x S was stored and nothing is: tiles of scores are computed again, used and forgotten. Keys gather from every query that
saw them, queries from every key they saw; two walks, one for each. `kernels/flash_backward.py` is the same in Triton.

One tile, five lines (delta = sum of out * dout over a row, computed once; it equals the sum of p * dp over its keys):

    p     = exp2(q @ k.T * scale - lse), 0 where the row may not look
    dv   += p.T @ dout
    dp    = dout @ v.T
    ds    = p * (dp - delta)                    a softcap multiplies it by 1 - tanh^2
    dk   += ds.T @ q,  dq += ds @ k             both times scale, once, at the end
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from minillm.attention.tiled import LOG2_E
from minillm.attention.validate_backward import check_backward
from minillm.measure.chip import load, on_chip, store
from minillm.measure.numbers import require_whole
from minillm.measure.tiles import key_range, padded_width, query_range


@dataclass(frozen=True)
class _Options:
    causal: bool
    window: int | None
    softcap: float
    scale: float
    block_l: int
    block_s: int


def tiled_attention_backward(
    dout: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    *,
    causal: bool = False,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
    scale: float | None = None,
    dlse: Tensor | None = None,
    block_l: int = 64,
    block_s: int = 64,
) -> tuple[Tensor, ...]:
    """dout, out, q (B, L, H, D), k and v (B, S, G, D), lse (B, H, L) -> dq, dk, dv like q, k, v, and dsinks if `sinks`.

    `out` and `lse` are the forward's for the same arguments and options, `dout` the loss's gradient of out, and `dlse`
    (B, H, L) that of lse, if the loss uses it. Tiles are `block_l` queries by `block_s` keys. Sums are float32, or float64
    for float64 input. A row that sees nothing has zero gradients. Raises InvalidType or InvalidValue before any work.
    Source: Dao, "FlashAttention-2" (2023), section 3.2.
    """
    check_backward(dout, q, k, v, out, lse, causal, window, softcap, sinks, scale, dlse)
    require_whole(block_l=block_l, block_s=block_s)
    (B, L, H, D), (_, S, G, _) = q.shape, k.shape
    scale = 1 / math.sqrt(D) if scale is None else float(scale)
    options = _Options(causal, window, softcap, scale, block_l, block_s)
    delta = torch.empty_like(lse)
    dq, dk, dv = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
    q_tiles, s_tiles = range(-(-L // block_l)), range(-(-S // block_s))
    with torch.no_grad():
        for b in range(B):
            for h in range(H):
                for q_tile in q_tiles:
                    with on_chip():  # one program of the first kernel
                        gradient = None if dlse is None else dlse[b, h]
                        delta_program(out[b, :, h], dout[b, :, h], gradient, delta[b, h], q_tile, options)
            for g in range(G):
                heads = slice(g * (H // G), (g + 1) * (H // G))  # the query heads that share these keys
                of_group = q[b, :, heads], dout[b, :, heads], lse[b, heads], delta[b, heads]
                for s_tile in s_tiles:
                    with on_chip():  # one program of the second
                        dkdv_program(*of_group, k[b, :, g], v[b, :, g], dk[b, :, g], dv[b, :, g], s_tile, options)
            for h in range(H):
                g = h // (H // G)
                of_head = q[b, :, h], dout[b, :, h], lse[b, h], delta[b, h]
                for q_tile in q_tiles:
                    with on_chip():  # one program of the third
                        dq_program(*of_head, k[b, :, g], v[b, :, g], dq[b, :, h], q_tile, options)
        return (dq, dk, dv) if sinks is None else (dq, dk, dv, sink_gradient(sinks, lse, delta))


def delta_program(
    out: Tensor, dout: Tensor, dlse: Tensor | None, delta: Tensor, q_tile: int, options: _Options
) -> None:
    """One block of queries of one head: out, dout (L, D), dlse, delta (L,). What a change of lse adds to ds, delta takes off."""
    rows = slice(q_tile * options.block_l, min((q_tile + 1) * options.block_l, len(out)))
    total = (load(out[rows]).to(delta.dtype) * load(dout[rows]).to(delta.dtype)).sum(1)  # (rows,)
    store(delta[rows], total if dlse is None else total - load(dlse[rows]))


def dkdv_program(
    q: Tensor,
    dout: Tensor,
    lse: Tensor,
    delta: Tensor,
    k: Tensor,
    v: Tensor,
    dk: Tensor,
    dv: Tensor,
    s_tile: int,
    options: _Options,
) -> None:
    """One tile of keys: k, v, dk, dv (S, D); q, dout (L, heads, D) and lse, delta (heads, L) of the heads that share them."""
    (S, D), L, block_s = k.shape, len(q), options.block_s
    keys = slice(s_tile * block_s, min((s_tile + 1) * block_s, S))
    shape = (block_s, padded_width(D))
    k_tile, v_tile = load(k[keys], shape=shape), load(v[keys], shape=shape)  # (block_s, block_d)
    offs_s = torch.arange(s_tile * block_s, (s_tile + 1) * block_s, device=k.device)
    tiles = query_range(s_tile, L, S, options.block_l, block_s, causal=options.causal, window=options.window)
    dk_tile = torch.zeros(shape, dtype=lse.dtype, device=k.device)
    dv_tile = torch.zeros(shape, dtype=lse.dtype, device=k.device)
    for q_tile, masked in tiles.tiles(options.block_l):
        for member in range(len(lse)):
            of_head = q[:, member], dout[:, member], lse[member], delta[member]
            dk_tile, dv_tile = dkdv_tile(dk_tile, dv_tile, k_tile, v_tile, *of_head, q_tile, offs_s, S, masked, options)
    store(dk[keys], (dk_tile * options.scale)[:, :D])
    store(dv[keys], dv_tile[:, :D])


def dkdv_tile(
    dk: Tensor,
    dv: Tensor,
    k: Tensor,
    v: Tensor,
    q: Tensor,
    dout: Tensor,
    lse: Tensor,
    delta: Tensor,
    q_tile: int,
    offs_s: Tensor,
    S: int,
    masked: bool,
    options: _Options,
) -> tuple[Tensor, Tensor]:
    """dk, dv, k, v (block_s, block_d), and the tile of queries that starts at `q_tile` -> dk and dv after it.

    Scores are computed transposed, keys down and queries across: both sums want them that way round.
    """
    L, block_l, state = len(q), options.block_l, dk.dtype
    rows = slice(q_tile, min(q_tile + block_l, L))
    shape = (block_l, k.shape[1])
    q_rows = load(q[rows], shape=shape)  # (block_l, block_d)
    s_t = k.to(state) @ q_rows.to(state).T  # (block_s, block_l)
    lse_rows = _finite_or_plus(load(lse[rows], shape=(block_l,), other=-math.inf))
    delta_rows = load(delta[rows], shape=(block_l,))
    s_t, slope = _scaled(s_t, options)
    if masked:
        positions = torch.arange(q_tile, q_tile + block_l, device=q.device) + S - L
        s_t = s_t.masked_fill(~_visible(offs_s[:, None], positions[None, :], S, options), -math.inf)
    p_t = torch.exp2((s_t - lse_rows[None, :]) * LOG2_E)
    dout_rows = load(dout[rows], shape=shape)  # (block_l, block_d)
    dv = dv + p_t.to(dout.dtype).to(state) @ dout_rows.to(state)
    dp_t = v.to(state) @ dout_rows.to(state).T  # (block_s, block_l)
    ds_t = p_t * (dp_t - delta_rows[None, :]) * slope
    dk = dk + ds_t.to(q.dtype).to(state) @ q_rows.to(state)
    return dk, dv


def dq_program(
    q: Tensor,
    dout: Tensor,
    lse: Tensor,
    delta: Tensor,
    k: Tensor,
    v: Tensor,
    dq: Tensor,
    q_tile: int,
    options: _Options,
) -> None:
    """One block of queries of one head: q, dout, dq (L, D), lse, delta (L,), over its keys k, v (S, D)."""
    (L, D), S, block_l = q.shape, len(k), options.block_l
    rows = slice(q_tile * block_l, min((q_tile + 1) * block_l, L))
    shape = (block_l, padded_width(D))
    q_rows, dout_rows = load(q[rows], shape=shape), load(dout[rows], shape=shape)  # (block_l, block_d)
    lse_rows = _finite_or_plus(load(lse[rows], shape=(block_l,), other=-math.inf))
    delta_rows = load(delta[rows], shape=(block_l,))
    of_rows = q_rows, dout_rows, lse_rows, delta_rows
    positions = torch.arange(q_tile * block_l, (q_tile + 1) * block_l, device=q.device) + S - L
    tiles = key_range(q_tile, L, S, block_l, options.block_s, causal=options.causal, window=options.window)
    dq_rows = torch.zeros(shape, dtype=lse.dtype, device=q.device)
    for s_tile, masked in tiles.tiles(options.block_s):
        dq_rows = dq_tile(dq_rows, *of_rows, k, v, s_tile, positions, masked, options)
    store(dq[rows], (dq_rows * options.scale)[:, :D])


def dq_tile(
    dq: Tensor,
    q: Tensor,
    dout: Tensor,
    lse: Tensor,
    delta: Tensor,
    k: Tensor,
    v: Tensor,
    s_tile: int,
    positions: Tensor,
    masked: bool,
    options: _Options,
) -> Tensor:
    """dq, q, dout (block_l, block_d), lse, delta (block_l,), and the tile of keys that starts at `s_tile` -> dq after it."""
    S, block_s, state = len(k), options.block_s, dq.dtype
    keys = slice(s_tile, min(s_tile + block_s, S))
    shape = (block_s, q.shape[1])
    k_tile = load(k[keys], shape=shape)  # (block_s, block_d)
    s = q.to(state) @ k_tile.to(state).T  # (block_l, block_s)
    s, slope = _scaled(s, options)
    if masked:
        offs_s = torch.arange(s_tile, s_tile + block_s, device=k.device)
        s = s.masked_fill(~_visible(offs_s[None, :], positions[:, None], S, options), -math.inf)
    p = torch.exp2((s - lse[:, None]) * LOG2_E)
    v_tile = load(v[keys], shape=shape)  # (block_s, block_d)
    dp = dout.to(state) @ v_tile.to(state).T  # (block_l, block_s)
    ds = p * (dp - delta[:, None]) * slope
    return dq + ds.to(k.dtype).to(state) @ k_tile.to(state)


def sink_gradient(sinks: Tensor, lse: Tensor, delta: Tensor) -> Tensor:
    """sinks (H,), lse and delta (B, H, L) -> dsinks (H,): a sink's p times (0 - delta), as it has no value, over all rows."""
    share = torch.exp(sinks.to(lse.dtype)[:, None] - lse).masked_fill(lse == -math.inf, 0.0)
    return -(share * delta).sum((0, 2)).to(sinks.dtype)


def _finite_or_plus(lse: Tensor) -> Tensor:
    """A row that sees nothing has lse -inf, and a row of padding too; as +inf it makes each of its p zero, never NaN."""
    return torch.where(lse == -math.inf, math.inf, lse)


def _scaled(s: Tensor, options: _Options) -> tuple[Tensor, Tensor | float]:
    """Dots of queries and keys -> scores, capped if there is a cap, and the slope of the cap where they stand."""
    if not options.softcap:
        return s * options.scale, 1.0
    largest = torch.finfo(s.dtype).max  # 0 times infinity would be NaN
    t = torch.tanh(s * min(max(options.scale / options.softcap, -largest), largest))
    return options.softcap * t, 1 - t * t


def _visible(offs_s: Tensor, positions: Tensor, S: int, options: _Options) -> Tensor:
    """Keys and positions of queries, one a column and the other a row -> bool, True where the query may look."""
    visible = (offs_s < S).expand(torch.broadcast_shapes(offs_s.shape, positions.shape))
    if options.causal:
        visible = visible & (offs_s <= positions)
    if options.window is not None:
        visible = visible & (offs_s > positions - options.window)
    return visible
