"""Flash attention: exact attention that never stores the scores.

Each program owns one block of queries of one head, and walks over the keys and values in tiles. It keeps three things on
chip: the largest score so far, the sum of exponentials so far, and the output so far, all relative to that largest score;
when a tile brings a larger one, the old sum and output shrink by the same factor. `attention/tiled.py` is the same walk in
torch, with the same names.

One tile, five lines (scores in units of log2, so that exp is one exp2):

    s     = q @ k.T * scale, and -inf where the row may not look
    m'    = max(m, max(s))
    p     = exp2(s - m')
    l     = l * exp2(m - m') + sum(p)
    acc   = acc * exp2(m - m') + p @ v          at the end: out = acc / l, lse = m + log2(l)

Sources: Milakov and Gimelshein 2018 (online softmax); Dao et al. 2022 and 2023 (FlashAttention 1 and 2).
"""

import math

import torch

from minillm.attention.validate import validate
from minillm.errors import Unsupported, rule_numbers_remedy
from minillm.kernels.attention_tiles import Tiles, choose_tiles, require_tiles
from minillm.kernels.operands import DTYPES, require_plain
from minillm.kernels.runtime import architecture, launch, tl, triton
from minillm.kernels.targets import dot_precision
from minillm.measure.tiles import padded_width, tiled_attention_cost

LOG2_E = math.log2(math.e)
LN_2 = math.log(2.0)
FLOAT32 = torch.finfo(torch.float32)


@triton.jit
def tanh(x):
    """tanh without a device library. The exponent is never positive; near 0, where 1 - e would cancel, its series."""
    size = tl.abs(x)
    e = tl.exp(-2.0 * size)
    t = (1.0 - e) / (1.0 + e)
    square = x * x
    series = x * (1.0 - square * (0.3333333333333333 - square * (0.13333333333333333 - square * 0.05396825396825397)))
    return tl.where(size < 0.125, series, tl.where(x < 0, -t, t))


@triton.jit
def load_tile(ptrs, mask_rows, mask_d, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """A tile (rows, BLOCK_D), zero outside the masks; a mask that is known to hold everywhere is not evaluated."""
    if ROWS and COLUMNS:
        return tl.load(ptrs, mask=mask_rows[:, None] & mask_d[None, :], other=0.0)
    elif ROWS:
        return tl.load(ptrs, mask=mask_rows[:, None], other=0.0)
    elif COLUMNS:
        return tl.load(ptrs, mask=mask_d[None, :], other=0.0)
    else:
        return tl.load(ptrs)


@triton.jit
def attend_tiles(
    acc, l, m, q, k_ptr, v_ptr, stride_ks, stride_vs, start, end, positions, S, window, scale, softcap,
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
        s = tl.dot(q, tl.trans(k), input_precision=PRECISION)  # (BLOCK_L, BLOCK_S)
        if SOFTCAP:
            s = softcap * tanh(s * scale)
            unit = 1.0
        else:
            unit = scale
        if MASKED:
            visible = mask_s[None, :]
            if CAUSAL:
                visible &= offs_s[None, :] <= positions[:, None]
            if WINDOW:
                visible &= offs_s[None, :] > positions[:, None] - window
            s = tl.where(visible, s, -float("inf"))
        m_new = tl.maximum(m, tl.max(s, 1) * unit)  # (BLOCK_L,)
        # A row that has seen nothing yet has m = -inf, and -inf - -inf is NaN; keys that hold -inf are not seen either.
        m_safe = tl.where(m_new == -float("inf"), 0.0, m_new)
        p = tl.exp2(s * unit - m_safe[:, None])  # (BLOCK_L, BLOCK_S)
        alpha = tl.exp2(m - m_safe)
        v = load_tile(v_ptrs, mask_s, mask_d, MASKED, D != BLOCK_D)  # (BLOCK_S, BLOCK_D)
        acc = acc * alpha[:, None]
        acc = tl.dot(p.to(v.dtype), v, acc, input_precision=PRECISION)
        l = l * alpha + tl.sum(p, 1)
        m = m_new
        k_ptrs += BLOCK_S * stride_ks
        v_ptrs += BLOCK_S * stride_vs
    return acc, l, m


@triton.jit
def key_range(
    q_tile, L, S, window, BLOCK_L: tl.constexpr, BLOCK_S: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr
):
    """Where a query block's keys start, where whole tiles do, where those end, and where all do: as in measure/tiles.py."""
    first = q_tile * BLOCK_L + S - L
    last = tl.minimum((q_tile + 1) * BLOCK_L, L) - 1 + S - L
    start = 0
    full_start = 0
    full_end = S // BLOCK_S * BLOCK_S
    end = S
    if CAUSAL:
        end = tl.minimum(tl.maximum(last + 1, 0), S)
        full_end = tl.minimum(tl.maximum(first + 1, 0), S) // BLOCK_S * BLOCK_S
    if WINDOW:
        start = tl.maximum(first - window + 1, 0) // BLOCK_S * BLOCK_S
        full_start = (tl.maximum(last - window + 1, 0) + BLOCK_S - 1) // BLOCK_S * BLOCK_S
        full_end = tl.maximum(full_end, start)
        full_start = tl.minimum(full_start, full_end)
    return start, full_start, full_end, end


@triton.jit
def attend_rows(
    q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr, sink_ptr, stride_ql, stride_ks, stride_vs, stride_ol,
    q_tile, L, S, window, scale, softcap,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, SOFTCAP: tl.constexpr, SINKS: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_S: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One block of queries of one head, from load to store. Pointers stand at the sequence's first row, in this head."""
    stride_ql, stride_ol = tl.cast(stride_ql, tl.int64), tl.cast(stride_ol, tl.int64)
    stride_ks, stride_vs = tl.cast(stride_ks, tl.int64), tl.cast(stride_vs, tl.int64)
    offs_l = q_tile * BLOCK_L + tl.arange(0, BLOCK_L)
    offs_d = tl.arange(0, BLOCK_D)
    mask_l = offs_l < L
    mask_d = offs_d < D
    q_ptrs = q_ptr + tl.cast(offs_l, tl.int64)[:, None] * stride_ql + offs_d[None, :]
    q = load_tile(q_ptrs, mask_l, mask_d, True, D != BLOCK_D)  # (BLOCK_L, BLOCK_D)

    positions = offs_l + S - L  # where each query stands among the keys
    start, full_start, full_end, end = key_range(q_tile, L, S, window, BLOCK_L, BLOCK_S, CAUSAL, WINDOW)

    acc = tl.zeros((BLOCK_L, BLOCK_D), tl.float32)
    if SINKS:
        m = tl.zeros((BLOCK_L,), tl.float32) + tl.load(sink_ptr).to(tl.float32) * 1.4426950408889634
        l = tl.zeros((BLOCK_L,), tl.float32) + 1.0
    else:
        m = tl.zeros((BLOCK_L,), tl.float32) - float("inf")
        l = tl.zeros((BLOCK_L,), tl.float32)
    if WINDOW:  # the window's left edge, then the tiles every row sees whole, then the diagonal or the ragged end
        acc, l, m = attend_tiles(
            acc, l, m, q, k_ptr, v_ptr, stride_ks, stride_vs, start, full_start, positions, S, window, scale, softcap,
            True, CAUSAL, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_S, PRECISION,
        )  # fmt: skip
    acc, l, m = attend_tiles(
        acc, l, m, q, k_ptr, v_ptr, stride_ks, stride_vs, full_start, full_end, positions, S, window, scale, softcap,
        False, CAUSAL, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_S, PRECISION,
    )  # fmt: skip
    acc, l, m = attend_tiles(
        acc, l, m, q, k_ptr, v_ptr, stride_ks, stride_vs, full_end, end, positions, S, window, scale, softcap,
        True, CAUSAL, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_S, PRECISION,
    )  # fmt: skip

    l_safe = tl.where(l == 0.0, 1.0, l)  # a row that saw nothing: 0 / 1, and lse = -inf + 0
    out_ptrs = out_ptr + tl.cast(offs_l, tl.int64)[:, None] * stride_ol + offs_d[None, :]
    out = (acc / l_safe[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptrs, out, mask=mask_l[:, None] & mask_d[None, :])
    tl.store(lse_ptr + offs_l, (m + tl.log2(l_safe)) * 0.6931471805599453, mask=mask_l)


@triton.jit
def flash_attention_kernel(
    q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr, sinks_ptr,
    stride_qb, stride_ql, stride_qh, stride_kb, stride_ks, stride_kg,
    stride_vb, stride_vs, stride_vg, stride_ob, stride_ol, stride_oh,
    L, S, H, q_tiles, window, scale, softcap, GROUP: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, SOFTCAP: tl.constexpr, SINKS: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_S: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One program a query block: blocks of a head are neighbours, so its keys stay in L2; the longest rows start first."""
    program = tl.program_id(0)
    q_tile = q_tiles - 1 - program % q_tiles
    bh = program // q_tiles
    b, h = tl.cast(bh // H, tl.int64), tl.cast(bh % H, tl.int64)
    g = h // GROUP
    attend_rows(
        q_ptr + b * stride_qb + h * stride_qh, k_ptr + b * stride_kb + g * stride_kg,
        v_ptr + b * stride_vb + g * stride_vg, out_ptr + b * stride_ob + h * stride_oh,
        lse_ptr + tl.cast(bh, tl.int64) * L, sinks_ptr + h if SINKS else sinks_ptr,
        stride_ql, stride_ks, stride_vs, stride_ol, q_tile, L, S, window, scale, softcap,
        CAUSAL, WINDOW, SOFTCAP, SINKS, D, BLOCK_D, BLOCK_L, BLOCK_S, PRECISION,
    )  # fmt: skip


WIDEST = 256


def flash_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
    scale: float | None = None,
    return_lse: bool = False,
    tiles: Tiles | None = None,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """q (B, L, H, D), k and v (B, S, G, D) -> out (B, L, H, D), and lse (B, H, L) in natural log if `return_lse`.

    float16, bfloat16 or float32, D up to 256, any strides with a contiguous last dimension (others are copied first).
    Options mean what they mean in `ml.attention`; `tiles` overrides the table's choice. Gradients flow to q, k, v and
    sinks. The state is float32 whatever the input. Raises InvalidType, InvalidValue or Unsupported before any work.
    Source: Dao, "FlashAttention-2" (2023).
    """
    validate(q, k, v, causal, window, softcap, sinks, scale, return_lse)
    require_kernel_input(q, k, v, sinks)
    require_tiles(tiles, Tiles)
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (q, k, v, sinks)):
        from minillm.kernels.flash_gradient import attend_with_gradient

        out, lse = attend_with_gradient(q, k, v, causal, window, softcap, sinks, scale, tiles)
    else:
        out, lse = attend(q, k, v, causal, window, softcap, sinks, scale, tiles)
    return (out, lse) if return_lse else out


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    causal: bool,
    window: int | None,
    softcap: float,
    sinks: torch.Tensor | None,
    scale: float | None,
    tiles: Tiles | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`flash_attention` of checked arguments, without gradients: out (B, L, H, D) and lse (B, H, L)."""
    (B, L, H, D), (_, S, G, _) = q.shape, k.shape
    target = architecture()
    tiles = tiles or choose_tiles(target, D, q.element_size())
    out = torch.empty((B, L, H, D), dtype=q.dtype, device=q.device)
    lse = torch.empty((B, H, L), dtype=torch.float32, device=q.device)
    q, scale = fold_scale(q, scale)
    q, k, v = (x if x.stride(-1) == 1 or D == 1 else x.contiguous() for x in (q, k, v))
    q_tiles = -(-L // tiles.block_l)
    launch(
        flash_attention_kernel,
        (q_tiles * B * H,),
        q, k, v, out, lse, None if sinks is None else sinks.contiguous(),
        *q.stride()[:3], *k.stride()[:3], *v.stride()[:3], *out.stride()[:3],
        L, S, H, q_tiles, min(int(window or 0), L + S), score_unit(scale, softcap), float(softcap) * LOG2_E,
        GROUP=H // G, CAUSAL=causal, WINDOW=window is not None, SOFTCAP=softcap > 0, SINKS=sinks is not None,
        D=D, BLOCK_D=padded_width(D), BLOCK_L=tiles.block_l, BLOCK_S=tiles.block_s,
        PRECISION=dot_precision(target, q.dtype), num_warps=tiles.num_warps, num_stages=tiles.num_stages,
        tile_steps=lambda: tile_steps(B, L, S, H, tiles, causal, window),
        smaller=lambda limit: smaller_shape(B, L, S, H, tiles, causal, window, limit),
    )  # fmt: skip
    return out, lse


def require_kernel_input(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, sinks: torch.Tensor | None) -> None:
    """Raise Unsupported, naming the rung that can, for a dtype, a width or a transform the kernels do not take."""
    require_plain("backend='naive'", q=q, k=k, v=v, sinks=sinks)
    if q.dtype not in DTYPES:
        rule = "flash_attention takes float16, bfloat16 and float32"
        raise Unsupported(rule_numbers_remedy(rule, str(q.dtype), "use backend='tiled' or 'naive', which keep float64"))
    if q.shape[-1] > WIDEST:
        rule = f"flash_attention takes head widths D up to {WIDEST}"
        raise Unsupported(rule_numbers_remedy(rule, str(q.shape[-1]), "use backend='tiled', 'sdpa' or 'naive'"))


def fold_scale(q: torch.Tensor, scale: float | None) -> tuple[torch.Tensor, float]:
    """q and a positive scale with the same product: the loop multiplies a maximum by it, which a negative one would turn."""
    if scale is None:
        return q, 1 / math.sqrt(q.shape[-1])
    if abs(scale) < FLOAT32.tiny:  # zero in float32, and so is every score: 0 * -inf would be NaN
        return torch.zeros_like(q), 1.0
    return (q, float(scale)) if scale > 0 else (-q, -float(scale))


def score_unit(scale: float, softcap: float) -> float:
    """What the kernel multiplies q @ k.T by; finite in float32, since a score of 0 times infinity would be NaN."""
    return min(scale / float(softcap), FLOAT32.max) if softcap else scale * LOG2_E


def tile_steps(B: int, L: int, S: int, H: int, tiles: Tiles, causal: bool, window: int | None) -> int:
    """B, L, S, H -> steps over tiles that all programs take together, the measure of what interpreting costs."""
    if 0 in (B, L, S):
        return 0
    cost = tiled_attention_cost(
        B, L, S, H, 1, block_l=tiles.block_l, block_s=tiles.block_s, causal=causal, window=window
    )
    return cost.tile_steps


def smaller_shape(B: int, L: int, S: int, H: int, tiles: Tiles, causal: bool, window: int | None, limit: int) -> str:
    """The largest halving of B, then of H, then of L and S together, that stays within `limit` steps, in words."""
    while tile_steps(B, L, S, H, tiles, causal, window) > limit and (B, H, L, S) != (1, 1, 1, 1):
        if B > 1:
            B //= 2
        elif H > 1:
            H //= 2
        else:
            L, S = max(1, L // 2), max(1, S // 2)
    return f"B = {B}, L = {L}, S = {S}, H = {H}"
