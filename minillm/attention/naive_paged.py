"""Paged attention in its plainest form: fetch each text's blocks, lay them one behind the other, and attend.

A paged cache keeps the keys and values of many texts in blocks of P tokens, wherever there was room. A text's row of the
block table tells which blocks are its own, in order. This form copies a text's blocks into one piece and hands them to
the naive form, which is all that paging means; it is the oracle of every faster one.

One text, three lines:

    k  = k_cache[block_table[b]], its blocks in order, cut at seq_lens[b]          and v likewise
    q  = the rows query_start_loc[b] … query_start_loc[b + 1]                      its last query stands at its last key
    o  = naive_attention(q, k, v, causal=True)
"""

from __future__ import annotations

import torch
from torch import Tensor

from minillm.attention.naive import naive_attention
from minillm.attention.validate_paged import validate_paged


def naive_paged_attention(
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
    query_start_loc[b] to query_start_loc[b + 1], which are the last of its seq_lens[b] tokens. Always causal. A cache of
    int8 or float8_e4m3fn holds numbers to be multiplied by k_scale and v_scale (num_blocks, P, G), one a token and head.
    Options mean what they mean in `ml.attention`. float64 stays float64; narrower is widened once and rounded once.
    Raises InvalidValue or InvalidType before any work. Source: Kwon et al., "PagedAttention" (2023).
    """
    texts = validate_paged(
        q, k_cache, v_cache, block_table, seq_lens, query_start_loc, max_query_len, window=window, softcap=softcap,
        sinks=sinks, scale=scale, k_scale=k_scale, v_scale=v_scale, return_lse=return_lse,
    )  # fmt: skip
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    out = torch.zeros_like(q)
    lse = torch.full((q.shape[1], q.shape[0]), -torch.inf, dtype=wide, device=q.device)
    k_scale, v_scale = (None if x is None else x.to(wide) for x in (k_scale, v_scale))
    end = 0
    for b, (L, S) in enumerate(texts):
        rows, end = slice(end, end + L), end + L
        if not L:
            continue
        k = gather_blocks(k_cache, block_table[b], S, k_scale).to(wide)
        v = gather_blocks(v_cache, block_table[b], S, v_scale).to(wide)
        attended, its_lse = naive_attention(
            q[None, rows].to(wide), k[None], v[None], causal=True, window=window, softcap=softcap,
            sinks=sinks, scale=scale, return_lse=True,
        )  # fmt: skip
        out[rows], lse[:, rows] = attended[0].to(q.dtype), its_lse[0]
    return (out, lse) if return_lse else out


def gather_blocks(cache: Tensor, block_ids: Tensor, length: int, scale: Tensor | None = None) -> Tensor:
    """cache (num_blocks, P, G, D), block_ids (max_blocks,) -> the text's first `length` tokens in one piece (S, G, D).

    Entries after the last one needed are not looked at. With `scale` (num_blocks, P, G) the numbers are multiplied by it, in
    its dtype.
    """
    used = block_ids[: -(-length // cache.shape[1])].long()
    tokens = cache[used].flatten(0, 1)[:length]
    if scale is None:
        return tokens
    return tokens.to(scale.dtype) * scale[used].flatten(0, 1)[:length, :, None]
