"""Attention over a paged cache in torch, quick on a processor: each page is read once, and the cache is never copied whole.

A text's pages are fetched into a small buffer that stays in the processor's own cache, and torch's fused call attends to
the buffer as it would to a plain tensor. Blocks that happen to lie in a row are read where they are. A text too long for
the buffer is walked over tile by tile, with the running maximum and sum of `tiled.py`; so is every call that asks
for what the fused call lacks: softcap, sinks, or the lse.

One text's walk, a tile at a time, in float32 or wider:

    s = softcap(q @ k.T * scale), and -inf where the row may not look
    m_new = max(m, max(s))                 m and l start at -inf and 0, or at the sink and 1
    p, shrink = exp(s - m_new), exp(m - m_new)
    l, o = l * shrink + sum(p), o * shrink + p @ v
    o / l, lse = m + log(l)                when all tiles are done
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from minillm.attention.paged_plan import Alone, InPlace, PagedPlan, Piece, Text, Together, first_key
from minillm.attention.pages import TILE_BYTES, Pages, Scratch
from minillm.attention.sdpa import attend, attend_rows
from minillm.attention.validate_paged import validate_paged
from minillm.errors import Unsupported, rule_numbers_remedy

# Scores held at once by a walk, for one text: what bounds its tiles when there are many queries.
SCORE_BYTES = 2**24
# Up to so many queries a long text is walked over; with more, one fetch of all its pages is paid by many rows.
FEW_QUERIES = 16


@dataclass(frozen=True)
class Options:
    """What a call asks for beyond its tensors; meanings as in `ml.attention`."""

    window: int | None = None
    softcap: float = 0.0
    sinks: Tensor | None = None
    scale: float | None = None


def paged_attention(
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
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """q (T, H, D), k_cache and v_cache (num_blocks, P, G, D) -> out (T, H, D), and lse (H, T) in natural log if asked for.

    block_table (B, max_blocks), seq_lens (B,) and query_start_loc (B + 1,) are int32; text b owns the query rows from
    query_start_loc[b] to query_start_loc[b + 1], the last of its seq_lens[b] tokens. Always causal. A cache of int8 or
    float8_e4m3fn comes with k_scale and v_scale (num_blocks, P, G) float32. Raises InvalidValue or InvalidType before
    any work, and Unsupported for gradients, which only the naive form has. Source: Kwon et al., "PagedAttention" (2023); the walk is Dao et al.'s "FlashAttention" (2022).
    """
    texts = validate_paged(
        q, k_cache, v_cache, block_table, seq_lens, query_start_loc, max_query_len, window=window, softcap=softcap,
        sinks=sinks, scale=scale, k_scale=k_scale, v_scale=v_scale, return_lse=return_lse,
    )  # fmt: skip
    _require_no_gradient(q=q, k_cache=k_cache, v_cache=v_cache, sinks=sinks, k_scale=k_scale, v_scale=v_scale)
    counts, lengths = [count for count, _ in texts], [length for _, length in texts]
    plan = PagedPlan(counts, lengths, [] if q.is_meta else block_table.tolist(), k_cache.shape[1])
    pages, options = Pages(k_cache, v_cache, k_scale, v_scale), Options(window, softcap, sinks, scale)
    if softcap or sinks is not None or return_lse:
        out, lse = attend_paged_exactly(q, pages, plan, options, Scratch())
        return (out, lse) if return_lse else out
    return attend_paged(q, pages, plan, Scratch(), window=window, scale=scale)


def _require_no_gradient(**tensors: Tensor | None) -> None:
    """Raise Unsupported where a loss could ask for gradients: the buffers it would need are used again for other pages."""
    wanting = [name for name, x in tensors.items() if x is not None and x.requires_grad]
    if wanting and torch.is_grad_enabled():
        rule, remedy = "paged_attention has no backward pass", "use naive_paged_attention, or torch.no_grad()"
        raise Unsupported(rule_numbers_remedy(rule, f"{wanting[0]} with requires_grad=True", remedy))


def attend_paged(
    q: Tensor, pages: Pages, plan: PagedPlan, scratch: Scratch, *, window: int | None = None, scale: float | None = None
) -> Tensor:
    """`paged_attention` with its arguments trusted and its plan made, once for all layers of a pass. q (T, H, D) -> (T, H, D)."""
    if pages.k_scale is not None and q.dtype.itemsize < 4:  # widened numbers would not fit into half precision
        return attend_paged(q.float(), pages, plan, scratch, window=window, scale=scale).to(q.dtype)
    layout = plan.layout(window, pages, q.dtype, scratch)
    if not layout.pieces:
        return torch.zeros_like(q)
    if layout.order is not None:
        q = q.index_select(0, layout.order)
    if len(layout.pieces) == 1:
        out = _attend_piece(q, pages, layout.pieces[0], plan, window, scale, scratch)
    else:
        out = torch.cat(
            [
                _attend_piece(rows, pages, piece, plan, window, scale, scratch)
                for rows, piece in zip(q.split(layout.rows), layout.pieces, strict=True)
            ]
        )
    return out if layout.inverse is None else out.index_select(0, layout.inverse)


def attend_paged_exactly(
    q: Tensor, pages: Pages, plan: PagedPlan, options: Options, scratch: Scratch
) -> tuple[Tensor, Tensor]:
    """q (T, H, D) -> out (T, H, D) and lse (H, T), text by text: every option, at the price of a walk. Trusted."""
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    out, lse = torch.zeros_like(q), q.new_full((q.shape[1], q.shape[0]), -math.inf, dtype=wide)
    for text in plan.texts:
        rows = slice(text.row, text.row + text.length)
        out[rows], lse[:, rows] = _walk(q[rows], pages, text, plan, options, scratch)
    return out, lse


def _attend_piece(
    q: Tensor,
    pages: Pages,
    piece: Piece,
    plan: PagedPlan,
    window: int | None,
    scale: float | None,
    scratch: Scratch,
) -> Tensor:
    """q (n, H, D) of the piece's texts -> (n, H, D)."""
    if isinstance(piece, Together):
        return _attend_together(q, pages, piece, scale)
    if isinstance(piece, InPlace):
        assert pages.by_head is not None
        keys, values = (x.narrow(2, piece.slot, piece.num_keys) for x in pages.by_head)
        if piece.text.length > 1:
            k, v = keys.transpose(1, 2), values.transpose(1, 2)
            return attend(q[None], k, v, causal=True, window=window, scale=scale)[0]
        return attend_rows(q, keys, values, None, scale)
    return _attend_alone(q, pages, piece, plan, window, scale, scratch)


def _attend_together(q: Tensor, pages: Pages, piece: Together, scale: float | None) -> Tensor:
    """q (n, H, D), one query a text -> (n, H, D): fetch, make what is nobody's zeros, attend."""
    piece.buffer.fetch(pages, piece.block_ids)
    if piece.blank:
        torch._foreach_zero_(piece.blank)
    return attend_rows(q, piece.keys, piece.values, piece.bias, scale)


def _attend_alone(
    q: Tensor,
    pages: Pages,
    piece: Alone,
    plan: PagedPlan,
    window: int | None,
    scale: float | None,
    scratch: Scratch,
) -> Tensor:
    """q (L, H, D) of one text -> (L, H, D). Many queries pay for fetching all pages at once; few walk over them."""
    L, count = piece.text.length, len(piece.block_ids)
    if L <= FEW_QUERIES and count * pages.page_bytes > TILE_BYTES:
        return _walk(q, pages, piece.text, plan, Options(window, scale=scale), scratch)[0]
    buffer = scratch.buffer(pages, count, q.dtype)
    buffer.fetch(pages, piece.block_ids)
    stop = piece.start + piece.text.keys - first_key(piece.text, window)
    k, v = (x.flatten(0, 1)[None, piece.start : stop] for x in (buffer.k, buffer.v))
    return attend(q[None], k, v, causal=True, window=window, scale=scale)[0]


def _walk(
    q: Tensor, pages: Pages, text: Text, plan: PagedPlan, options: Options, scratch: Scratch
) -> tuple[Tensor, Tensor]:
    """q (L, H, D) of one text -> out (L, H, D) and lse (H, L): its pages tile by tile, as in the five lines above."""
    (L, H, D), G = q.shape, pages.shape[2]
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    rows = q.to(wide).reshape(L, G, H // G, D).permute(1, 2, 0, 3).reshape(G, -1, D)  # (G, H / G · L, D)
    rows = rows * (1 / math.sqrt(D) if options.scale is None else options.scale)
    m = rows.new_full((*rows.shape[:2], 1), -math.inf)
    total, mixed = torch.zeros_like(m), torch.zeros_like(rows)
    if options.sinks is not None:
        m = options.sinks.to(wide).repeat_interleave(L).view_as(m)
        total = torch.ones_like(m)
    for first, k, v in _tiles(q, pages, text, plan, options.window, scratch):
        scores = rows @ k.to(wide).permute(1, 2, 0)  # (G, H / G · L, s)
        if options.softcap:
            scores = options.softcap * torch.tanh(scores / options.softcap)
        scores = _hide(scores, text, first, options.window)
        highest = torch.maximum(m, scores.amax(-1, keepdim=True))
        guard = highest.masked_fill(highest == -math.inf, 0.0)  # a row that has seen nothing yet
        weights, shrink = torch.exp(scores - guard), torch.exp(m - guard)
        total = total * shrink + weights.sum(-1, keepdim=True)
        mixed = mixed * shrink + weights @ v.to(wide).transpose(0, 1)
        m = highest
    out = (mixed / total).view(H, L, D).transpose(0, 1)
    return out.to(q.dtype), (m + total.log()).view(H, L)


def _tiles(
    q: Tensor, pages: Pages, text: Text, plan: PagedPlan, window: int | None, scratch: Scratch
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """-> (position of the first key, k, v (s, G, D)) of one tile after the other, as many pages each as the buffers take."""
    P, first = plan.block_size, first_key(text, window)
    dtype = q.dtype if pages.k_scale is None or q.dtype.itemsize > 4 else torch.float32
    blocks = torch.tensor(plan.blocks(text, window), device=q.device)
    score_row = 4 * q.shape[0] * q.shape[1] * P
    step = max(1, min(TILE_BYTES // pages.page_bytes, SCORE_BYTES // score_row))
    for tile, block_ids in enumerate(blocks.split(step)):
        buffer = scratch.buffer(pages, len(block_ids), dtype)
        buffer.fetch(pages, block_ids)
        begin = (first // P + tile * step) * P  # position of the tile's first slot
        seen = slice(max(0, first - begin), text.keys - begin)
        yield begin + seen.start, buffer.k.flatten(0, 1)[seen], buffer.v.flatten(0, 1)[seen]


def _hide(scores: Tensor, text: Text, first: int, window: int | None) -> Tensor:
    """scores (G, H / G · L, s) of the keys from `first` on -> −inf where a key comes after its query, or before its window."""
    L, count = text.length, scores.shape[-1]
    if L == 1:  # the last token sees all that was fetched: later keys do not exist, and earlier ones were cut off
        return scores
    positions = torch.arange(text.keys - L, text.keys, device=scores.device)[:, None]
    keys = torch.arange(first, first + count, device=scores.device)
    hidden = keys > positions
    if window is not None:
        hidden |= keys <= positions - window
    return scores.view(scores.shape[0], -1, L, count).masked_fill(hidden, -math.inf).view_as(scores)
