"""Flash decoding: one new token a text attends to all the keys its text has kept.

The query heads that share a KV head become the rows of one tile, so that a group reads its keys and values once and not
once a head. And because one row a head makes too few programs for a GPU, the keys are cut into runs, a program each;
`merge_splits` puts the runs together. Each program's walk over its run is flash attention's: it calls the same
`attend_tiles`.

Text b, KV head g, run i, four lines (`attention/tiled_decode.py` is the same in torch):

    rows    q[b, h] of the H / G heads h that read KV head g       padded to the 16 that a dot takes
    run     ceil(tiles / num_splits) tiles of keys from run i's first, none at or after seq_lens[b]
    state   out_i, lse_i = attention of the rows to the run        0 and -inf where the run is empty
    merged  lse = log(sum(exp(lse_i))), out = sum(exp(lse_i - lse) * out_i)

Source: Dao, Haziza, Massa and Sizov, "Flash-Decoding" (2023).
"""

from itertools import accumulate

import torch

from minillm.attention.validate_decode import validate_decode
from minillm.errors import Unsupported, rule_numbers_remedy
from minillm.kernels.attention_tiles import require_tiles
from minillm.kernels.decode_tiles import DecodeTiles, choose_decode_tiles, processors
from minillm.kernels.flash_attention import LOG2_E, WIDEST, attend_tiles, fold_scale, load_tile, score_unit
from minillm.kernels.merge_splits import merge_splits
from minillm.kernels.operands import DTYPES, require_plain
from minillm.kernels.runtime import architecture, launch, tl, triton
from minillm.kernels.targets import dot_precision
from minillm.measure import splits
from minillm.measure.splits import decode_rows
from minillm.measure.tiles import padded_width

INSTEAD = "minillm.attention.tiled_decode"


@triton.jit
def split_range(seq_len, split, num_splits, window, BLOCK_S: tl.constexpr, WINDOW: tl.constexpr):
    """Where a run's keys start, where whole tiles do, where those end, and where all do: as in measure/splits.py."""
    first = 0
    if WINDOW:
        first = tl.maximum(seq_len - window, 0)
    start = first // BLOCK_S * BLOCK_S
    tiles = (seq_len + BLOCK_S - 1) // BLOCK_S - first // BLOCK_S
    per_split = (tiles + num_splits - 1) // num_splits
    start += split * per_split * BLOCK_S
    end = tl.minimum(start + per_split * BLOCK_S, seq_len)
    full_end = tl.maximum(end // BLOCK_S * BLOCK_S, start)
    full_start = start
    if WINDOW:
        full_start = tl.minimum(tl.maximum((first + BLOCK_S - 1) // BLOCK_S * BLOCK_S, start), full_end)
    return start, full_start, full_end, end


@triton.jit
def flash_decode_kernel(
    q_ptr, k_ptr, v_ptr, seq_lens_ptr, sinks_ptr, out_ptr, lse_ptr,
    stride_qb, stride_qh, stride_kb, stride_ks, stride_kg, stride_vb, stride_vs, stride_vg,
    B, S, G, num_splits, row_tiles, window, scale, softcap, GROUP: tl.constexpr,
    WINDOW: tl.constexpr, SOFTCAP: tl.constexpr, SINKS: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_S: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One program a run of one KV head of one text; those that read the same keys, and then the runs, are neighbours."""
    program = tl.program_id(0)
    row_tile = program % row_tiles
    split = program // row_tiles % num_splits
    bg = program // row_tiles // num_splits
    b, g = tl.cast(bg // G, tl.int64), tl.cast(bg % G, tl.int64)
    stride_ks, stride_vs = tl.cast(stride_ks, tl.int64), tl.cast(stride_vs, tl.int64)
    k_ptr += b * stride_kb + g * stride_kg
    v_ptr += b * stride_vb + g * stride_vg
    seq_len = tl.minimum(tl.load(seq_lens_ptr + b), S)

    first_head = g * GROUP + row_tile * BLOCK_H
    row = (tl.cast(split, tl.int64) * B + b) * (G * GROUP) + first_head  # of the output: (num_splits, B, H)
    out_ptr += row * D
    lse_ptr += row

    offs_h = tl.arange(0, BLOCK_H)
    offs_d = tl.arange(0, BLOCK_D)
    mask_h = offs_h < GROUP - row_tile * BLOCK_H
    mask_d = offs_d < D
    q_rows = q_ptr + b * stride_qb + first_head * stride_qh
    q_ptrs = q_rows + tl.cast(offs_h, tl.int64)[:, None] * stride_qh + offs_d[None, :]
    q = load_tile(q_ptrs, mask_h, mask_d, True, D != BLOCK_D)  # (BLOCK_H, BLOCK_D)

    positions = tl.zeros((BLOCK_H,), tl.int32) + seq_len - 1  # every row stands at the last key
    start, full_start, full_end, end = split_range(seq_len, split, num_splits, window, BLOCK_S, WINDOW)

    acc = tl.zeros((BLOCK_H, BLOCK_D), tl.float32)
    m = tl.zeros((BLOCK_H,), tl.float32) - float("inf")
    l = tl.zeros((BLOCK_H,), tl.float32)
    if SINKS:  # a sink counts once: in the first run
        mask_sink = mask_h & (split == 0)
        sink = tl.load(sinks_ptr + first_head + offs_h, mask=mask_sink, other=-float("inf")).to(tl.float32)
        m = sink * 1.4426950408889634
        l = tl.where(mask_sink, 1.0, 0.0)
    # The tile in which a window begins, then those that are seen whole, then the one in which the keys end.
    if WINDOW:
        acc, l, m = attend_tiles(
            acc, l, m, q, k_ptr, v_ptr, stride_ks, stride_vs, start, full_start, positions, seq_len, window, scale,
            softcap, True, False, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_S, PRECISION,
        )  # fmt: skip
    acc, l, m = attend_tiles(
        acc, l, m, q, k_ptr, v_ptr, stride_ks, stride_vs, full_start, full_end, positions, seq_len, window, scale,
        softcap, False, False, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_S, PRECISION,
    )  # fmt: skip
    acc, l, m = attend_tiles(
        acc, l, m, q, k_ptr, v_ptr, stride_ks, stride_vs, full_end, end, positions, seq_len, window, scale,
        softcap, True, False, WINDOW, SOFTCAP, D, BLOCK_D, BLOCK_S, PRECISION,
    )  # fmt: skip

    l_safe = tl.where(l == 0.0, 1.0, l)  # a run that saw nothing: 0 / 1, and lse = -inf + 0
    out = (acc / l_safe[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + offs_h[:, None] * D + offs_d[None, :], out, mask=mask_h[:, None] & mask_d[None, :])
    tl.store(lse_ptr + offs_h, (m + tl.log2(l_safe)) * 0.6931471805599453, mask=mask_h)


def flash_decode(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    seq_lens: torch.Tensor,
    *,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
    scale: float | None = None,
    num_splits: int | None = None,
    return_lse: bool = False,
    tiles: DecodeTiles | None = None,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """q (B, H, D), k and v (B, S, G, D), seq_lens (B,) int32 -> out (B, H, D), and lse (B, H) float32 if `return_lse`.

    Text b's query stands at its last kept key, seq_lens[b] - 1, and sees the keys up to there, or the last `window` of
    them; what lies behind is never read. 0 keys give 0 and lse -inf, or the sink. float16, bfloat16 or float32, D up to
    256, any H / G, any strides with a contiguous last dimension (others are copied first). `num_splits` cuts the keys
    into up to 128 runs; None asks `measure.splits.num_splits`, and bits may change with it, only rounding. On a GPU
    seq_lens is never read by the host: a length above S counts as S there, where the CPU raises. `tiles` overrides the
    table's choice. Raises InvalidType, InvalidValue or Unsupported before any work. Source: "Flash-Decoding" (2023).
    """
    lengths = validate_decode(q, k, v, seq_lens, window, softcap, sinks, scale, num_splits, return_lse)
    require_decode_input(q, k, v, sinks)
    require_tiles(tiles, DecodeTiles)
    window = None if window is None else int(window)
    (B, H, D), (_, S, G, _) = q.shape, k.shape
    target = architecture()
    tiles = tiles or choose_decode_tiles(target, D, q.element_size())
    block_h, row_tiles = decode_rows(H, G)
    seen = -(-min(S, window or S) // tiles.block_s)
    num_splits = num_splits or splits.num_splits(B * G * row_tiles, processors(target, q.device), seen)
    out = torch.empty((B, H, D), dtype=q.dtype, device=q.device)
    lse = torch.empty((B, H), dtype=torch.float32, device=q.device)
    outs, lses = (out, lse) if num_splits == 1 else partials(num_splits, q)
    q, scale = fold_scale(q, scale)
    q, k, v = (x if x.stride(-1) == 1 or D == 1 else x.contiguous() for x in (q, k, v))
    launch(
        flash_decode_kernel,
        (B * G * row_tiles * num_splits,),
        q, k, v, seq_lens.contiguous(), None if sinks is None else sinks.contiguous(), outs, lses,
        *q.stride()[:2], *k.stride()[:3], *v.stride()[:3],
        B, S, G, num_splits, row_tiles, min(window or 0, S), score_unit(scale, softcap), float(softcap) * LOG2_E,
        GROUP=H // G, WINDOW=window is not None, SOFTCAP=softcap > 0, SINKS=sinks is not None,
        D=D, BLOCK_D=padded_width(D), BLOCK_H=block_h, BLOCK_S=tiles.block_s,
        PRECISION=dot_precision(target, q.dtype), num_warps=tiles.num_warps, num_stages=tiles.num_stages,
        tile_steps=lambda: tile_steps(lengths or [S] * B, H, G, tiles, num_splits, window),
        smaller=lambda limit: smaller_batch(lengths or [S] * B, H, G, tiles, num_splits, window, limit),
        instead=INSTEAD,
    )  # fmt: skip
    if num_splits > 1:
        merge_splits(outs, lses, out, lse)
    return (out, lse) if return_lse else out


def partials(num_splits: int, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Memory for what each run found: outs (num_splits, B, H, D) and lses (num_splits, B, H), float32."""
    B, H, D = q.shape
    outs = torch.empty((num_splits, B, H, D), dtype=torch.float32, device=q.device)
    return outs, torch.empty((num_splits, B, H), dtype=torch.float32, device=q.device)


def require_decode_input(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, sinks: torch.Tensor | None) -> None:
    """Raise Unsupported, naming what can, for a dtype, a width, a gradient or a transform that the kernel does not take."""
    given = {"q": q, "k": k, "v": v, "sinks": sinks}
    require_plain(INSTEAD, **given)
    if q.dtype not in DTYPES:
        rule = "flash_decode takes float16, bfloat16 and float32"
        raise Unsupported(rule_numbers_remedy(rule, str(q.dtype), f"use {INSTEAD}, which keeps float64"))
    if q.shape[-1] > WIDEST:
        rule = f"flash_decode takes head widths D up to {WIDEST}"
        raise Unsupported(rule_numbers_remedy(rule, str(q.shape[-1]), f"use {INSTEAD}"))
    wanting = [name for name, x in given.items() if x is not None and x.requires_grad and torch.is_grad_enabled()]
    if wanting:
        rule = "flash_decode has no backward pass, so gradients would be lost"
        remedy = "use flash_attention with L = 1, or torch.no_grad()"
        raise Unsupported(rule_numbers_remedy(rule, f"{wanting[0]} with requires_grad=True", remedy))


def tile_steps(lengths: list[int], H: int, G: int, tiles: DecodeTiles, num_splits: int, window: int | None) -> int:
    """Kept keys of each text, H, G -> steps over tiles that all programs take together; an idle program counts as one."""
    _, row_tiles = decode_rows(H, G)
    seen = sum(max(num_splits, splits.tiles_seen(length, tiles.block_s, window=window)) for length in lengths)
    return seen * G * row_tiles


def smaller_batch(
    lengths: list[int], H: int, G: int, tiles: DecodeTiles, num_splits: int, window: int | None, limit: int
) -> str:
    """How many of the texts fit `limit` steps together, in words; if not even one, how many keys it may have."""
    steps = (tile_steps([length], H, G, tiles, num_splits, window) for length in lengths)
    fitting = sum(total <= limit for total in accumulate(steps))
    if fitting:
        return f"the first {fitting} texts"
    keys = limit // (G * decode_rows(H, G)[1]) * tiles.block_s
    return f"one text of at most {keys:,} keys"
