"""Flash attention backwards: gradients of q, k and v when the scores were never stored.

The forward kept one number a row, the lse, and from it any score's probability comes back with one exp. So the backward
walks over tiles again and recomputes what it needs: first in programs that own a tile of keys and pass over the queries
that can see it (dK, dV), then in programs that own a block of queries and pass over its keys (dQ). Nobody shares a sum,
so there are no atomics, and the same call gives the same bits. `attention/tiled_backward.py` is the same walk in torch.

One tile, five lines (delta = sum of out * dout over a row, computed once; it equals the sum of p * dp over its keys):

    p     = exp2(q @ k.T * scale - lse), 0 where the row may not look
    dv   += p.T @ dout
    dp    = dout @ v.T
    ds    = p * (dp - delta)                    a softcap multiplies it by 1 - tanh^2
    dk   += ds.T @ q,  dq += ds @ k             both times scale, once, at the end

Source: Dao, "FlashAttention-2" (2023), section 3.2; dK/dV in transposed form as in Triton's fused attention tutorial.
"""

import math
from typing import Any

import torch

from minillm.attention.tiled_backward import sink_gradient
from minillm.attention.validate_backward import check_backward
from minillm.kernels.attention_tiles import Tiles, require_tiles
from minillm.kernels.backward_tiles import BackwardTiles, choose_backward_tiles
from minillm.kernels.flash_attention import (
    LOG2_E,
    key_range,
    load_tile,
    require_kernel_input,
    score_unit,
    smaller_shape,
    tanh,
    tile_steps,
)
from minillm.kernels.runtime import architecture, launch, tl, triton
from minillm.kernels.targets import dot_precision
from minillm.measure.tiles import padded_width

DELTA_ROWS = 32  # rows of out and dout a program of the first kernel multiplies


@triton.jit
def delta_kernel(
    out_ptr, dout_ptr, dlse_ptr, delta_ptr,
    stride_ob, stride_ol, stride_oh, stride_dob, stride_dol, stride_doh,
    L, H, q_tiles, DLSE: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_L: tl.constexpr,
):  # fmt: skip
    """delta (B, H, L) of one block of queries: sum of out * dout, less the lse's own gradient if it has one."""
    program = tl.program_id(0)
    q_tile = program % q_tiles
    bh = program // q_tiles
    b, h = tl.cast(bh // H, tl.int64), tl.cast(bh % H, tl.int64)
    offs_l = q_tile * BLOCK_L + tl.arange(0, BLOCK_L)
    offs_d = tl.arange(0, BLOCK_D)
    mask_l = offs_l < L
    mask_d = offs_d < D
    rows = tl.cast(offs_l, tl.int64)[:, None]
    out_ptrs = out_ptr + b * stride_ob + h * stride_oh + rows * stride_ol + offs_d[None, :]
    dout_ptrs = dout_ptr + b * stride_dob + h * stride_doh + rows * stride_dol + offs_d[None, :]
    out = load_tile(out_ptrs, mask_l, mask_d, True, D != BLOCK_D).to(tl.float32)  # (BLOCK_L, BLOCK_D)
    dout = load_tile(dout_ptrs, mask_l, mask_d, True, D != BLOCK_D).to(tl.float32)  # (BLOCK_L, BLOCK_D)
    delta = tl.sum(out * dout, 1)  # (BLOCK_L,)
    row = tl.cast(bh, tl.int64) * L + offs_l
    if DLSE:
        delta -= tl.load(dlse_ptr + row, mask=mask_l, other=0.0)
    tl.store(delta_ptr + row, delta, mask=mask_l)


@triton.jit
def dkdv_tiles(
    dk, dv, k, v, q_ptr, dout_ptr, lse_ptr, delta_ptr, stride_ql, stride_qh, stride_dol, stride_doh,
    start, end, offs_s, L, S, window, scale, softcap, GROUP: tl.constexpr, MASKED: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr, SOFTCAP: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_L: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Walk over the queries from `start` to `end`; with MASKED off, every row of every tile sees every key.

    Scores are computed transposed, keys down and queries across, because both sums want them that way round: turning a
    dot's result over to feed the next dot is slow, and miscompiled on Hopper before Triton 3.7.1.
    """
    offs_d = tl.arange(0, BLOCK_D)
    mask_d = offs_d < D
    tile_l = tl.arange(0, BLOCK_L)
    # One address moves through the loop and the tile's offsets stay: moving a tile of addresses takes registers.
    q_offs = tl.cast(tile_l, tl.int64)[:, None] * stride_ql + offs_d[None, :]
    dout_offs = tl.cast(tile_l, tl.int64)[:, None] * stride_dol + offs_d[None, :]
    # One loop for tiles and heads: in a loop within a loop the compiler ran out of registers for dk and dv at D = 128.
    for visit in range(0, (end - start + BLOCK_L - 1) // BLOCK_L * GROUP):
        q_tile = start + visit // GROUP * BLOCK_L
        member = tl.cast(visit % GROUP, tl.int64)
        q_head = q_ptr + member * stride_qh + tl.cast(q_tile, tl.int64) * stride_ql
        dout_head = dout_ptr + member * stride_doh + tl.cast(q_tile, tl.int64) * stride_dol
        offs_l = q_tile + tile_l
        row = member * L + offs_l
        mask_l = offs_l < L
        q = load_tile(q_head + q_offs, mask_l, mask_d, MASKED, D != BLOCK_D)  # (BLOCK_L, BLOCK_D)
        s_t = tl.dot(k, tl.trans(q), input_precision=PRECISION)  # (BLOCK_S, BLOCK_L)
        if MASKED:
            # Rows past the end are rows that see nothing, and those have lse = -inf: as +inf it makes every p zero.
            lse = tl.load(lse_ptr + row, mask=mask_l, other=-float("inf"))  # (BLOCK_L,)
            lse = tl.where(lse == -float("inf"), float("inf"), lse) * 1.4426950408889634
        else:
            lse = tl.load(lse_ptr + row) * 1.4426950408889634
        s_t = s_t * scale
        if SOFTCAP:
            t = tanh(s_t)
            s_t = softcap * t
        if MASKED:
            positions = offs_l + S - L  # where each query stands among the keys
            visible = (offs_s < S)[:, None]
            if CAUSAL:
                visible &= offs_s[:, None] <= positions[None, :]
            if WINDOW:
                visible &= offs_s[:, None] > positions[None, :] - window
            s_t = tl.where(visible, s_t, -float("inf"))
        p_t = tl.exp2(s_t - lse[None, :])  # (BLOCK_S, BLOCK_L)
        dout = load_tile(dout_head + dout_offs, mask_l, mask_d, MASKED, D != BLOCK_D)  # (BLOCK_L, BLOCK_D)
        dv = tl.dot(p_t.to(dout.dtype), dout, dv, input_precision=PRECISION)
        dp_t = tl.dot(v, tl.trans(dout), input_precision=PRECISION)  # (BLOCK_S, BLOCK_L)
        if MASKED:
            delta = tl.load(delta_ptr + row, mask=mask_l, other=0.0)  # (BLOCK_L,)
        else:
            delta = tl.load(delta_ptr + row)
        ds_t = p_t * (dp_t - delta[None, :])
        if SOFTCAP:
            ds_t = ds_t * (1.0 - t * t)
        dk = tl.dot(ds_t.to(q.dtype), q, dk, input_precision=PRECISION)
    return dk, dv


@triton.jit
def dkdv_kernel(
    q_ptr, k_ptr, v_ptr, dout_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr,
    stride_qb, stride_ql, stride_qh, stride_kb, stride_ks, stride_kg, stride_vb, stride_vs, stride_vg,
    stride_dob, stride_dol, stride_doh, stride_dkb, stride_dks, stride_dkg,
    L, S, H, s_tiles, window, scale, softcap, plain_scale, GROUP: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, SOFTCAP: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_S: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One program a tile of keys: the group's query heads pass one after the other, and their shares add up here."""
    program = tl.program_id(0)
    s_tile = program % s_tiles  # the first keys are seen by most rows, and start first
    bg = program // s_tiles
    G = H // GROUP
    b, g = tl.cast(bg // G, tl.int64), tl.cast(bg % G, tl.int64)
    stride_ql, stride_dol = tl.cast(stride_ql, tl.int64), tl.cast(stride_dol, tl.int64)
    offs_s = s_tile * BLOCK_S + tl.arange(0, BLOCK_S)
    offs_d = tl.arange(0, BLOCK_D)
    mask_s = offs_s < S
    mask_d = offs_d < D
    keys = tl.cast(offs_s, tl.int64)[:, None]
    k_ptrs = k_ptr + b * stride_kb + g * stride_kg + keys * stride_ks + offs_d[None, :]
    v_ptrs = v_ptr + b * stride_vb + g * stride_vg + keys * stride_vs + offs_d[None, :]
    k = load_tile(k_ptrs, mask_s, mask_d, True, D != BLOCK_D)  # (BLOCK_S, BLOCK_D)
    v = load_tile(v_ptrs, mask_s, mask_d, True, D != BLOCK_D)  # (BLOCK_S, BLOCK_D)

    first = s_tile * BLOCK_S - (S - L)  # the queries that stand at the tile's first and last key
    last = tl.minimum((s_tile + 1) * BLOCK_S, S) - 1 - (S - L)
    start = 0
    full_start = 0
    full_end = L // BLOCK_L * BLOCK_L
    end = L
    if CAUSAL:
        start = tl.maximum(first, 0) // BLOCK_L * BLOCK_L
        full_start = (tl.maximum(last, 0) + BLOCK_L - 1) // BLOCK_L * BLOCK_L
    if WINDOW:
        end = tl.minimum(tl.maximum(last + window, 0), L)
        full_end = tl.minimum(tl.maximum(first + window, 0), L) // BLOCK_L * BLOCK_L
    full_end = tl.where((s_tile + 1) * BLOCK_S > S, start, tl.maximum(full_end, start))
    full_start = tl.minimum(full_start, full_end)

    dk = tl.zeros((BLOCK_S, BLOCK_D), tl.float32)
    dv = tl.zeros((BLOCK_S, BLOCK_D), tl.float32)
    h = g * GROUP  # the first of the heads that share these keys
    q_head = q_ptr + b * stride_qb + h * stride_qh
    dout_head = dout_ptr + b * stride_dob + h * stride_doh
    row = (b * H + h) * L
    if CAUSAL:  # the diagonal, then the tiles whose rows all see every key, then the window's or the rows' end
        dk, dv = dkdv_tiles(
            dk, dv, k, v, q_head, dout_head, lse_ptr + row, delta_ptr + row,
            stride_ql, stride_qh, stride_dol, stride_doh, start, full_start, offs_s, L, S, window, scale, softcap,
            GROUP, True, CAUSAL, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_L, PRECISION,
        )  # fmt: skip
    dk, dv = dkdv_tiles(
        dk, dv, k, v, q_head, dout_head, lse_ptr + row, delta_ptr + row,
        stride_ql, stride_qh, stride_dol, stride_doh, full_start, full_end, offs_s, L, S, window, scale, softcap,
        GROUP, False, CAUSAL, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_L, PRECISION,
    )  # fmt: skip
    dk, dv = dkdv_tiles(
        dk, dv, k, v, q_head, dout_head, lse_ptr + row, delta_ptr + row,
        stride_ql, stride_qh, stride_dol, stride_doh, full_end, end, offs_s, L, S, window, scale, softcap,
        GROUP, True, CAUSAL, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_L, PRECISION,
    )  # fmt: skip

    place = b * stride_dkb + g * stride_dkg + keys * stride_dks + offs_d[None, :]
    mask = mask_s[:, None] & mask_d[None, :]
    tl.store(dk_ptr + place, (dk * plain_scale).to(dk_ptr.dtype.element_ty), mask=mask)
    tl.store(dv_ptr + place, dv.to(dv_ptr.dtype.element_ty), mask=mask)


@triton.jit
def dq_tiles(
    dq, q, dout, lse, delta, k_ptr, v_ptr, stride_ks, stride_vs, start, end, positions, S, window, scale, softcap,
    MASKED: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr, SOFTCAP: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_S: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Walk over the keys from `start` to `end`; with MASKED off, every row sees every key of every tile."""
    offs_d = tl.arange(0, BLOCK_D)
    mask_d = offs_d < D
    tile_s = tl.arange(0, BLOCK_S)
    first = tl.cast(start, tl.int64)
    k_ptrs = k_ptr + first * stride_ks + tl.cast(tile_s, tl.int64)[:, None] * stride_ks + offs_d[None, :]
    v_ptrs = v_ptr + first * stride_vs + tl.cast(tile_s, tl.int64)[:, None] * stride_vs + offs_d[None, :]
    for s_tile in range(start, end, BLOCK_S):
        offs_s = s_tile + tile_s
        mask_s = offs_s < S
        k = load_tile(k_ptrs, mask_s, mask_d, MASKED, D != BLOCK_D)  # (BLOCK_S, BLOCK_D)
        s = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale  # (BLOCK_L, BLOCK_S)
        if SOFTCAP:
            t = tanh(s)
            s = softcap * t
        if MASKED:
            visible = mask_s[None, :]
            if CAUSAL:
                visible &= offs_s[None, :] <= positions[:, None]
            if WINDOW:
                visible &= offs_s[None, :] > positions[:, None] - window
            s = tl.where(visible, s, -float("inf"))
        p = tl.exp2(s - lse[:, None])  # (BLOCK_L, BLOCK_S)
        v = load_tile(v_ptrs, mask_s, mask_d, MASKED, D != BLOCK_D)  # (BLOCK_S, BLOCK_D)
        dp = tl.dot(dout, tl.trans(v), input_precision=PRECISION)  # (BLOCK_L, BLOCK_S)
        ds = p * (dp - delta[:, None])
        if SOFTCAP:
            ds = ds * (1.0 - t * t)
        dq = tl.dot(ds.to(k.dtype), k, dq, input_precision=PRECISION)
        k_ptrs += BLOCK_S * stride_ks
        v_ptrs += BLOCK_S * stride_vs
    return dq


@triton.jit
def dq_kernel(
    q_ptr, k_ptr, v_ptr, dout_ptr, lse_ptr, delta_ptr, dq_ptr,
    stride_qb, stride_ql, stride_qh, stride_kb, stride_ks, stride_kg, stride_vb, stride_vs, stride_vg,
    stride_dob, stride_dol, stride_doh, stride_dqb, stride_dql, stride_dqh,
    L, S, H, q_tiles, window, scale, softcap, plain_scale, GROUP: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, SOFTCAP: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_S: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One program a query block, over the keys that the forward visited, in the forward's order."""
    program = tl.program_id(0)
    q_tile = q_tiles - 1 - program % q_tiles
    bh = program // q_tiles
    b, h = tl.cast(bh // H, tl.int64), tl.cast(bh % H, tl.int64)
    g = h // GROUP
    stride_ks, stride_vs = tl.cast(stride_ks, tl.int64), tl.cast(stride_vs, tl.int64)
    k_head, v_head = k_ptr + b * stride_kb + g * stride_kg, v_ptr + b * stride_vb + g * stride_vg
    offs_l = q_tile * BLOCK_L + tl.arange(0, BLOCK_L)
    offs_d = tl.arange(0, BLOCK_D)
    mask_l = offs_l < L
    mask_d = offs_d < D
    rows = tl.cast(offs_l, tl.int64)[:, None]
    q_ptrs = q_ptr + b * stride_qb + h * stride_qh + rows * stride_ql + offs_d[None, :]
    dout_ptrs = dout_ptr + b * stride_dob + h * stride_doh + rows * stride_dol + offs_d[None, :]
    q = load_tile(q_ptrs, mask_l, mask_d, True, D != BLOCK_D)  # (BLOCK_L, BLOCK_D)
    dout = load_tile(dout_ptrs, mask_l, mask_d, True, D != BLOCK_D)  # (BLOCK_L, BLOCK_D)
    row = tl.cast(bh, tl.int64) * L + offs_l
    lse = tl.load(lse_ptr + row, mask=mask_l, other=-float("inf"))  # (BLOCK_L,)
    lse = tl.where(lse == -float("inf"), float("inf"), lse) * 1.4426950408889634  # rows that see nothing: every p is 0
    delta = tl.load(delta_ptr + row, mask=mask_l, other=0.0)  # (BLOCK_L,)

    positions = offs_l + S - L  # where each query stands among the keys
    start, full_start, full_end, end = key_range(q_tile, L, S, window, BLOCK_L, BLOCK_S, CAUSAL, WINDOW)

    dq = tl.zeros((BLOCK_L, BLOCK_D), tl.float32)
    if WINDOW:
        dq = dq_tiles(
            dq, q, dout, lse, delta, k_head, v_head, stride_ks, stride_vs, start, full_start, positions, S, window,
            scale, softcap, True, CAUSAL, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_S, PRECISION,
        )  # fmt: skip
    dq = dq_tiles(
        dq, q, dout, lse, delta, k_head, v_head, stride_ks, stride_vs, full_start, full_end, positions, S, window,
        scale, softcap, False, CAUSAL, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_S, PRECISION,
    )  # fmt: skip
    dq = dq_tiles(
        dq, q, dout, lse, delta, k_head, v_head, stride_ks, stride_vs, full_end, end, positions, S, window,
        scale, softcap, True, CAUSAL, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_S, PRECISION,
    )  # fmt: skip

    dq_ptrs = dq_ptr + b * stride_dqb + h * stride_dqh + rows * stride_dql + offs_d[None, :]
    tl.store(dq_ptrs, (dq * plain_scale).to(dq_ptr.dtype.element_ty), mask=mask_l[:, None] & mask_d[None, :])


@torch.no_grad()
def flash_backward(
    dout: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    out: torch.Tensor,
    lse: torch.Tensor,
    *,
    causal: bool = False,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
    scale: float | None = None,
    dlse: torch.Tensor | None = None,
    tiles: BackwardTiles | None = None,
) -> tuple[torch.Tensor, ...]:
    """dout, out, q (B, L, H, D), k and v (B, S, G, D), lse (B, H, L) -> dq, dk, dv like q, k, v, and dsinks if `sinks`.

    `out` and `lse` are what `flash_attention(…, return_lse=True)` gave for the same arguments and options; `dout` is the
    loss's gradient of out, in out's dtype, and `dlse` (B, H, L) that of lse, if the loss uses it. Any strides with a
    contiguous last dimension (others are copied first). A row that sees nothing has zero gradients. The same call gives
    the same bits. Sums are float32 whatever the input. `tiles` overrides the table's choice. Raises InvalidType,
    InvalidValue or Unsupported before any work. Source: Dao, "FlashAttention-2" (2023).
    """
    check_backward(dout, q, k, v, out, lse, causal, window, softcap, sinks, scale, dlse)
    require_kernel_input(q, k, v, sinks)
    require_tiles(tiles, BackwardTiles)
    (B, L, H, D), (_, S, G, _) = q.shape, k.shape
    scale = 1 / math.sqrt(D) if scale is None else float(scale)
    target = architecture()
    tiles = tiles or choose_backward_tiles(target, D, q.element_size())
    dout, q, k, v, out = (x if x.stride(-1) == 1 or D == 1 else x.contiguous() for x in (dout, q, k, v, out))
    lse = lse.contiguous()
    delta = _delta(out, dout, dlse)
    arguments = (q, k, v, dout, lse, delta)
    strides = (*q.stride()[:3], *k.stride()[:3], *v.stride()[:3], *dout.stride()[:3])
    # No maximum is scaled here, so unlike the forward's, this scale may be negative or zero.
    scales = (math.copysign(score_unit(abs(scale), softcap), scale), float(softcap) * LOG2_E, scale)
    shape, reach = (B, L, S, H), min(int(window or 0), L + S)
    constants: dict[str, Any] = {
        "GROUP": H // G, "CAUSAL": causal, "WINDOW": window is not None, "SOFTCAP": softcap > 0,
        "D": D, "BLOCK_D": padded_width(D), "PRECISION": dot_precision(target, q.dtype),
    }  # fmt: skip

    dk, dv = (torch.empty((B, S, G, D), dtype=q.dtype, device=q.device) for _ in range(2))
    s_tiles = -(-S // tiles.keys.block_s)
    launch(
        dkdv_kernel, (s_tiles * B * G,),
        *arguments, dk, dv, *strides, *dk.stride()[:3], L, S, H, s_tiles, reach, *scales,
        **constants, **_cut(tiles.keys, shape, causal, window),
    )  # fmt: skip
    dq = torch.empty((B, L, H, D), dtype=q.dtype, device=q.device)
    q_tiles = -(-L // tiles.queries.block_l)
    launch(
        dq_kernel, (q_tiles * B * H,),
        *arguments, dq, *strides, *dq.stride()[:3], L, S, H, q_tiles, reach, *scales,
        **constants, **_cut(tiles.queries, shape, causal, window),
    )  # fmt: skip
    return (dq, dk, dv) if sinks is None else (dq, dk, dv, sink_gradient(sinks, lse, delta))


def _delta(out: torch.Tensor, dout: torch.Tensor, dlse: torch.Tensor | None) -> torch.Tensor:
    """delta (B, H, L) float32; every byte of out and dout is read once, for both kernels."""
    B, L, H, D = out.shape
    delta = torch.empty((B, H, L), dtype=torch.float32, device=out.device)
    q_tiles = -(-L // DELTA_ROWS)
    launch(
        delta_kernel, (q_tiles * B * H,),
        out, dout, None if dlse is None else dlse.contiguous(), delta, *out.stride()[:3], *dout.stride()[:3],
        L, H, q_tiles, DLSE=dlse is not None, D=D, BLOCK_D=padded_width(D), BLOCK_L=DELTA_ROWS,
        tile_steps=lambda: q_tiles * B * H, smaller=lambda limit: f"B * H * L up to {limit * DELTA_ROWS:,}",
    )  # fmt: skip
    return delta


def _cut(tiles: Tiles, shape: tuple[int, int, int, int], causal: bool, window: int | None) -> dict[str, Any]:
    """The part of a launch that says how its work is cut, and what interpreting it would take."""
    return {
        "BLOCK_L": tiles.block_l,
        "BLOCK_S": tiles.block_s,
        "num_warps": tiles.num_warps,
        "num_stages": tiles.num_stages,
        "tile_steps": lambda: tile_steps(*shape, tiles, causal, window),
        "smaller": lambda limit: smaller_shape(*shape, tiles, causal, window, limit),
    }
