"""Decoding in its plainest form: one text after the other, each new token asks all the keys its text has kept.

Nothing is shared between texts or between heads of a group, and nothing is split. It is what the decode kernels and their
twins are compared with, and needs no more than `naive_attention`.
"""

from __future__ import annotations

import torch

from minillm.attention.naive import naive_attention
from minillm.attention.validate_decode import validate_decode


def naive_decode(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    seq_lens: torch.Tensor,
    *,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
    scale: float | None = None,
    return_lse: bool = False,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """q (B, H, D), k and v (B, S, G, D), seq_lens (B,) int32 -> out (B, H, D), and lse (B, H) if `return_lse`.

    Text b's query stands at position seq_lens[b] - 1 and sees the first seq_lens[b] keys, or the last `window` of those;
    what lies behind them is never read. A length of 0 gives 0 and lse -inf, or the sink. Options and dtypes are those of
    `naive_attention`. Reads seq_lens on the host. Raises InvalidValue or InvalidType before any work.
    """
    validate_decode(q, k, v, seq_lens, window, softcap, sinks, scale, None, return_lse)
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    lse = torch.empty(q.shape[:2], dtype=torch.float64 if q.dtype == torch.float64 else torch.float32, device=q.device)
    for b, length in enumerate([] if q.is_meta else seq_lens.tolist()):
        kept = slice(b, b + 1), slice(0, length)
        text, text_lse = naive_attention(
            q[b : b + 1, None],
            k[kept],
            v[kept],
            window=window,
            softcap=softcap,
            sinks=sinks,
            scale=scale,
            return_lse=True,
        )
        out[b], lse[b] = text[0, 0], text_lse[0, :, 0]
    return (out, lse) if return_lse else out
