"""Paged attention: queries of many texts over keys and values that lie in blocks, wherever a pool had room for them.

One call serves texts that bring one new token, texts that bring a whole prompt, and any mixture. A program owns a few
consecutive queries of one text, all the heads of them that share a KV head, and walks over the keys that they may see.
The walk is flash attention's; what is new is how it finds its text, and that each tile of keys first asks the block
table where it lies. `attention/tiled_paged.py` is the same walk in torch.

Tile r of text b, KV head g, four lines (the state's five are `flash_attention.py`'s):

    row i of the tile    token i // GROUP of the tile, head g · GROUP + i % GROUP      GROUP = H / G
    key s lies in        block block_table[b, s // P], slot s % P
    row i sees key s iff s <= S - L + token, and s > S - L + token - window
    quantised            scores *= k_scale[key], p *= v_scale[key]      cheaper than scaling the tiles

Sources: Kwon et al., "PagedAttention" (2023); the packed rows and the search for the text are FlashAttention's and vLLM's.
"""

import torch

from minillm.attention.validate_paged import Texts, validate_paged
from minillm.kernels.attention_tiles import Tiles, require_tiles
from minillm.kernels.decode_tiles import processors
from minillm.kernels.flash_attention import LOG2_E, fold_scale, key_range, load_tile, score_unit, tanh
from minillm.kernels.flash_decode import partials
from minillm.kernels.merge_splits import merge_splits
from minillm.kernels.paged_input import INSTEAD, fewer_texts, require_paged_input
from minillm.kernels.paged_tiles import choose_paged_tiles
from minillm.kernels.runtime import architecture, launch, tl, triton
from minillm.kernels.targets import dot_precision
from minillm.measure import splits
from minillm.measure.paged_cost import paged_rows, paged_tile_steps
from minillm.measure.tiles import padded_width


@triton.jit
def find_text(starts_ptr, tile, B, BLOCK_Q: tl.constexpr):
    """The text that owns this tile of queries, by bisection: text b's tiles begin at starts[b] // BLOCK_Q + b."""
    low = tl.cast(0, tl.int32)
    high = tl.cast(B, tl.int32)
    while low < high:
        middle = (low + high) // 2
        if tl.load(starts_ptr + middle) // BLOCK_Q + middle <= tile:
            low = middle + 1
        else:
            high = middle
    return low - 1


@triton.jit
def cut_range(start, full_start, full_end, end, split, num_splits, BLOCK_S: tl.constexpr):
    """One run of a range of keys, as in measure/paged_cost.py: the range's tiles are dealt out evenly, the last runs fewer."""
    tiles = (end - start + BLOCK_S - 1) // BLOCK_S
    per_split = (tiles + num_splits - 1) // num_splits
    first = start + split * per_split * BLOCK_S
    last = tl.minimum(first + per_split * BLOCK_S, end)
    full_start = tl.minimum(tl.maximum(full_start, first), last)
    full_end = tl.minimum(tl.maximum(full_end, first), last)
    return first, full_start, full_end, last


@triton.jit
def attend_pages(
    acc, l, m, q, k_ptr, v_ptr, k_scale_ptr, v_scale_ptr, table_ptr, stride_kn, stride_kp, stride_vn, stride_vp, G,
    start, end, limit, positions, window, scale, softcap,
    MASKED: tl.constexpr, WINDOW: tl.constexpr, SOFTCAP: tl.constexpr, QUANTIZED: tl.constexpr,
    P: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_S: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Walk over the keys from `start` to `end`, none at or after `limit`; with MASKED off, every row sees every key.

    Pointers stand at this KV head, `table_ptr` at this text's row. No entry of the table is read that no key needs.
    """
    offs_d = tl.arange(0, BLOCK_D)
    mask_d = offs_d < D
    tile_s = tl.arange(0, BLOCK_S)
    for s_tile in range(start, end, BLOCK_S):
        offs_s = s_tile + tile_s
        mask_s = offs_s < limit
        if P % BLOCK_S == 0:  # the tile lies in one block
            block = tl.cast(tl.load(table_ptr + s_tile // P), tl.int64)
            slots = s_tile % P + tile_s
            first_k, first_v, first_scale = block * stride_kn, block * stride_vn, block * (P * G)
        else:
            if MASKED:
                blocks = tl.load(table_ptr + offs_s // P, mask=mask_s, other=0)
            else:
                blocks = tl.load(table_ptr + offs_s // P)
            blocks = tl.cast(blocks, tl.int64)
            slots = offs_s % P
            first_k, first_v, first_scale = blocks * stride_kn, blocks * stride_vn, blocks * (P * G)
        k_rows = k_ptr + first_k + slots * stride_kp
        k = load_tile(k_rows[:, None] + offs_d[None, :], mask_s, mask_d, MASKED, D != BLOCK_D)  # (BLOCK_S, BLOCK_D)
        if QUANTIZED:
            k = k.to(q.dtype)
        s = tl.dot(q, tl.trans(k), input_precision=PRECISION)  # (BLOCK_M, BLOCK_S)
        if QUANTIZED:
            s *= load_row(k_scale_ptr + first_scale + slots * G, mask_s, MASKED)[None, :]
        if SOFTCAP:
            s = softcap * tanh(s * scale)
            unit = 1.0
        else:
            unit = scale
        if MASKED:
            visible = mask_s[None, :] & (offs_s[None, :] <= positions[:, None])
            if WINDOW:
                visible &= offs_s[None, :] > positions[:, None] - window
            s = tl.where(visible, s, -float("inf"))
        m_new = tl.maximum(m, tl.max(s, 1) * unit)  # (BLOCK_M,)
        # A row that has seen nothing yet has m = -inf, and -inf - -inf is NaN; keys that hold -inf are not seen either.
        m_safe = tl.where(m_new == -float("inf"), 0.0, m_new)
        p = tl.exp2(s * unit - m_safe[:, None])  # (BLOCK_M, BLOCK_S)
        alpha = tl.exp2(m - m_safe)
        l = l * alpha + tl.sum(p, 1)
        v_rows = v_ptr + first_v + slots * stride_vp
        v = load_tile(v_rows[:, None] + offs_d[None, :], mask_s, mask_d, MASKED, D != BLOCK_D)  # (BLOCK_S, BLOCK_D)
        if QUANTIZED:
            v = v.to(q.dtype)
            # A scale is a value / 127: times 64 the product keeps to the range of values, where float16 is precise.
            p *= 64.0 * load_row(v_scale_ptr + first_scale + slots * G, mask_s, MASKED)[None, :]
        acc = acc * alpha[:, None]
        acc = tl.dot(p.to(v.dtype), v, acc, input_precision=PRECISION)
        m = m_new
    return acc, l, m


@triton.jit
def load_row(ptrs, mask, MASKED: tl.constexpr):
    """A row of numbers, zero outside the mask; a mask that is known to hold everywhere is not evaluated."""
    if MASKED:
        return tl.load(ptrs, mask=mask, other=0.0)
    else:
        return tl.load(ptrs)


@triton.jit
def paged_attention_kernel(
    q_ptr, k_ptr, v_ptr, k_scale_ptr, v_scale_ptr, table_ptr, seq_lens_ptr, starts_ptr, sinks_ptr, out_ptr, lse_ptr,
    stride_qt, stride_qh, stride_kn, stride_kp, stride_kg, stride_vn, stride_vp, stride_vg, stride_tb,
    T, B, G, num_splits, window, scale, softcap,
    GROUP: tl.constexpr, DECODE: tl.constexpr, WINDOW: tl.constexpr, SOFTCAP: tl.constexpr, SINKS: tl.constexpr,
    QUANTIZED: tl.constexpr, P: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
    BLOCK_S: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One program a run of keys of one KV head of one tile of queries; the heads of a tile are neighbours, as in a block."""
    BLOCK_Q: tl.constexpr = BLOCK_M // GROUP if not DECODE else 1
    program = tl.program_id(0)
    g = tl.cast(program % G, tl.int64)
    split = program // G % num_splits
    tile = program // G // num_splits
    if DECODE:  # every text has one query, so nothing has to be looked for
        b, q_tile, row_q, L = tile, 0, tile, 1
    else:
        b = find_text(starts_ptr, tile, B, BLOCK_Q)
        row_q, end_q = tl.load(starts_ptr + b), tl.load(starts_ptr + b + 1)
        L = end_q - row_q
        q_tiles = (L + BLOCK_Q - 1) // BLOCK_Q
        q_tile = q_tiles - 1 - (tile - (row_q // BLOCK_Q + b))  # the longest rows start first
        if q_tile < 0:
            return  # there are tiles enough for the worst case
    S = tl.load(seq_lens_ptr + b)
    b, row_q = tl.cast(b, tl.int64), tl.cast(row_q, tl.int64)
    stride_kn, stride_kp = tl.cast(stride_kn, tl.int64), tl.cast(stride_kp, tl.int64)
    stride_vn, stride_vp = tl.cast(stride_vn, tl.int64), tl.cast(stride_vp, tl.int64)

    offs_m = tl.arange(0, BLOCK_M)
    offs_d = tl.arange(0, BLOCK_D)
    offs_l = q_tile * BLOCK_Q + offs_m // GROUP  # the row's token, among the text's queries
    heads = g * GROUP + offs_m % GROUP
    mask_m = (offs_m < BLOCK_Q * GROUP) & (offs_l < L)
    mask_d = offs_d < D
    q_rows = q_ptr + (row_q + offs_l) * stride_qt + heads * stride_qh
    q = load_tile(q_rows[:, None] + offs_d[None, :], mask_m, mask_d, True, D != BLOCK_D)  # (BLOCK_M, BLOCK_D)

    positions = offs_l + S - L  # where each query stands among the keys
    first, full_start, full_end, last = key_range(q_tile, L, S, window, BLOCK_Q, BLOCK_S, True, WINDOW)
    limit = last  # what follows the tile's last query is not even loaded
    first, full_start, full_end, last = cut_range(first, full_start, full_end, last, split, num_splits, BLOCK_S)

    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    m = tl.zeros((BLOCK_M,), tl.float32) - float("inf")
    l = tl.zeros((BLOCK_M,), tl.float32)
    if SINKS:  # a sink counts once: in the first run
        mask_sink = mask_m & (split == 0)
        m = tl.load(sinks_ptr + heads, mask=mask_sink, other=-float("inf")).to(tl.float32) * 1.4426950408889634
        l = tl.where(mask_sink, 1.0, 0.0)
    k_ptr += g * stride_kg
    v_ptr += g * stride_vg
    table_ptr += b * stride_tb
    if QUANTIZED:
        k_scale_ptr += g
        v_scale_ptr += g
    if WINDOW:  # the window's left edge, then the tiles every row sees whole, then the diagonal or the ragged end
        acc, l, m = attend_pages(
            acc, l, m, q, k_ptr, v_ptr, k_scale_ptr, v_scale_ptr, table_ptr, stride_kn, stride_kp, stride_vn, stride_vp,
            G, first, full_start, limit, positions, window, scale, softcap,
            True, WINDOW, SOFTCAP, QUANTIZED, P, D, BLOCK_D, BLOCK_S, PRECISION,
        )  # fmt: skip
    else:
        full_start = first
    acc, l, m = attend_pages(
        acc, l, m, q, k_ptr, v_ptr, k_scale_ptr, v_scale_ptr, table_ptr, stride_kn, stride_kp, stride_vn, stride_vp,
        G, full_start, full_end, limit, positions, window, scale, softcap,
        False, WINDOW, SOFTCAP, QUANTIZED, P, D, BLOCK_D, BLOCK_S, PRECISION,
    )  # fmt: skip
    acc, l, m = attend_pages(
        acc, l, m, q, k_ptr, v_ptr, k_scale_ptr, v_scale_ptr, table_ptr, stride_kn, stride_kp, stride_vn, stride_vp,
        G, full_end, last, limit, positions, window, scale, softcap,
        True, WINDOW, SOFTCAP, QUANTIZED, P, D, BLOCK_D, BLOCK_S, PRECISION,
    )  # fmt: skip

    l_safe = tl.where(l == 0.0, 1.0, l)  # a row that saw nothing: 0 / 1, and lse = -inf + 0
    if QUANTIZED:
        acc *= 0.015625  # 1 / 64
    rows = (tl.cast(split, tl.int64) * T + row_q + offs_l) * (G * GROUP) + heads  # of the output: (num_splits, T, H)
    out = (acc / l_safe[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + rows[:, None] * D + offs_d[None, :], out, mask=mask_m[:, None] & mask_d[None, :])
    tl.store(lse_ptr + rows, (m + tl.log2(l_safe)) * 0.6931471805599453, mask=mask_m)


def paged_attention(
    q: torch.Tensor,
    k_cache: torch.Tensor,
    v_cache: torch.Tensor,
    block_table: torch.Tensor,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    max_query_len: int,
    *,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
    scale: float | None = None,
    k_scale: torch.Tensor | None = None,
    v_scale: torch.Tensor | None = None,
    num_splits: int | None = None,
    return_lse: bool = False,
    tiles: Tiles | None = None,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """q (T, H, D), k_cache and v_cache (num_blocks, P, G, D) -> out (T, H, D), and lse (H, T) float32 if `return_lse`.

    block_table (B, max_blocks), seq_lens (B,) and query_start_loc (B + 1,) are int32. Text b owns the query rows from
    query_start_loc[b] to query_start_loc[b + 1], the last of its seq_lens[b] tokens, whose keys and values are already
    in the cache; what lies behind them is never read, nor is the rest of its row of the table. Always causal.
    float16, bfloat16 or float32; D up to 256, any P, any H / G; caches with any strides whose last dimension is
    contiguous. An int8 or float8_e4m3fn cache comes with k_scale and v_scale (num_blocks, P, G), one factor a token and
    head. `num_splits` cuts each tile's keys into up to 128 runs, merged afterwards; None asks `measure.splits` when no text
    brings more than one query, else is 1. `tiles` overrides the table's choice; its `block_l` is rows, heads of a token
    side by side.
    On a GPU the values of the three index tensors are read once, which waits for them, and again when torch has written
    to one. Raises InvalidType, InvalidValue or Unsupported before any work. Source: "PagedAttention" (2023).
    """
    texts = validate_paged(
        q, k_cache, v_cache, block_table, seq_lens, query_start_loc, max_query_len, window=window, softcap=softcap,
        sinks=sinks, scale=scale, k_scale=k_scale, v_scale=v_scale, return_lse=return_lse,
    )  # fmt: skip
    require_paged_input(q, k_cache, v_cache, sinks, k_scale, v_scale, architecture())
    require_tiles(tiles, Tiles)
    if num_splits is not None:
        splits.require_splits(num_splits)
    out, lse = attend_paged(
        q, k_cache, v_cache, block_table, seq_lens, query_start_loc, int(max_query_len), window, softcap, sinks, scale,
        k_scale, v_scale, num_splits, tiles, texts,
    )  # fmt: skip
    return (out, lse) if return_lse else out


def attend_paged(
    q: torch.Tensor,
    k_cache: torch.Tensor,
    v_cache: torch.Tensor,
    block_table: torch.Tensor,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    max_query_len: int,
    window: int | None,
    softcap: float,
    sinks: torch.Tensor | None,
    scale: float | None,
    k_scale: torch.Tensor | None,
    v_scale: torch.Tensor | None,
    num_splits: int | None,
    tiles: Tiles | None,
    texts: Texts,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`paged_attention` of checked arguments: out (T, H, D) and lse (H, T). Nothing on a GPU is read back, nor waited for.

    A text of no tokens then gives 0 and lse -inf (or the sink) to its queries. `texts`, the (L, S) of each, is needed
    only where the kernel is interpreted.
    """
    (T, H, D), (_, P, G, _), (B, max_blocks) = q.shape, k_cache.shape, block_table.shape
    target = architecture()
    rows = max_query_len * (H // G)
    tiles = tiles or choose_paged_tiles(target, D, q.element_size(), rows, quantized=k_scale is not None)
    block_m, block_q = paged_rows(tiles.block_l, H, G)
    decode = max_query_len == 1 and T == B
    reach = max_blocks * P
    if num_splits is None:
        seen = -(-min(reach, int(window or reach)) // tiles.block_s)
        num_splits = splits.num_splits(B * G, processors(target, q.device), seen) if max_query_len == 1 else 1
    out = torch.empty((T, H, D), dtype=q.dtype, device=q.device)
    lse = torch.empty((T, H), dtype=torch.float32, device=q.device)
    outs, lses = (out, lse) if num_splits == 1 else partials(num_splits, q)
    q, scale = fold_scale(q, scale)
    q = q if q.stride(-1) == 1 or D == 1 else q.contiguous()
    table = block_table if block_table.stride(-1) == 1 or max_blocks < 2 else block_table.contiguous()
    q_tiles = B if decode else T // block_q + B
    launch(
        paged_attention_kernel,
        (q_tiles * G * num_splits if T else 0,),
        q, k_cache, v_cache, k_scale, v_scale, table, seq_lens.contiguous(), query_start_loc.contiguous(),
        None if sinks is None else sinks.contiguous(), outs, lses,
        *q.stride()[:2], *k_cache.stride()[:3], *v_cache.stride()[:3], table.stride(0),
        T, B, G, num_splits, min(int(window or 0), reach), score_unit(scale, softcap), float(softcap) * LOG2_E,
        GROUP=H // G, DECODE=decode, WINDOW=window is not None, SOFTCAP=softcap > 0, SINKS=sinks is not None,
        QUANTIZED=k_scale is not None, P=P, D=D, BLOCK_D=padded_width(D), BLOCK_M=block_m, BLOCK_S=tiles.block_s,
        PRECISION=dot_precision(target, q.dtype), num_warps=tiles.num_warps, num_stages=tiles.num_stages,
        tile_steps=lambda: paged_tile_steps(texts, H, G, tiles.block_l, tiles.block_s, num_splits, window),
        smaller=lambda limit: fewer_texts(texts, H, G, tiles, num_splits, window, limit),
        instead=INSTEAD,
    )  # fmt: skip
    if num_splits > 1:
        merge_splits(outs, lses, out, lse)
    return out, lse.T
