"""Attention by the best call torch has: `F.scaled_dot_product_attention`, the one to beat.

The library call is fused, so it never stores the scores; but its causal mask starts at the top left, and it knows no
window and no sink. This file turns our meaning into its arguments at the least cost: first drop queries and keys that
cannot matter, then use the fast paths (no mask, or a square causal one), and build an (L, S) mask only as the last way.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from minillm.attention.naive import visible
from minillm.attention.validate import validate
from minillm.errors import Unsupported

OPTIONS = frozenset({"causal", "window", "sinks", "scale"})


def sdpa_attention(
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
) -> torch.Tensor:
    """q (B, L, H, D), k and v (B, S, G, D) -> out (B, L, H, D), in q's dtype.

    Options mean what they mean in `ml.attention`. Raises InvalidValue or InvalidType before any work, and Unsupported
    for `softcap` and `return_lse`, which the library call cannot give.
    """
    validate(q, k, v, causal, window, softcap, sinks, scale, return_lse)
    for name, wanted in (("softcap", softcap), ("return_lse", return_lse)):
        if wanted:
            raise Unsupported(
                f"torch's scaled_dot_product_attention has no {name}; got {name}={wanted!r}; use backend='naive'."
            )
    return attend(q, k, v, causal=causal, window=window, sinks=sinks, scale=scale)


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    window: int | None = None,
    sinks: torch.Tensor | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """`sdpa_attention` with its arguments trusted: for callers inside the house that call it once a layer a token.

    q (B, L, H, D), k and v (B, S, G, D) -> out (B, L, H, D). Wrong arguments give torch's errors, or none at all.
    """
    L, S, H, G = q.shape[1], k.shape[1], q.shape[2], k.shape[2]
    if scale is not None and scale < 0:
        # On a CPU, torch's causal mask is scaled too: a negative scale would turn its -inf into inf, and rows into NaN.
        q, scale = -q, -scale
    elif scale == 0:  # which would turn it into NaN
        q, scale = q * 0, 1.0
    if causal and L > S:
        # The first L - S rows see nothing and give 0; the rest are a square problem, which torch's mask fits.
        seeing = attend(q[:, L - S :], k, v, causal=True, window=window, sinks=sinks, scale=scale)
        return F.pad(seeing, (0, 0, 0, 0, L - S, 0))
    if window is not None:
        unseen = max(0, S - L - window + 1)  # keys too old even for the first query
        k, v, S = k[:, unseen:], v[:, unseen:], S - unseen
        window = None if window >= S else window
    if sinks is not None:
        k, v, mask = with_sink_key(k, v, sinks, visible(L, S, causal, window, q.device))
        causal = False
    elif window is not None or (causal and 1 < L < S):
        mask, causal = visible(L, S, causal, window, q.device), False
    elif L == 1:
        return attend_one_query(q, k, v, scale)
    else:
        mask = None
    out = F.scaled_dot_product_attention(
        q.transpose(1, 2),
        k.transpose(1, 2),
        v.transpose(1, 2),
        attn_mask=mask,
        is_causal=causal,
        scale=scale,
        enable_gqa=H != G,
    )
    return out.transpose(1, 2)


def attend_one_query(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float | None) -> torch.Tensor:
    """q (B, 1, H, D), k and v (B, S, G, D) -> out (B, 1, H, D), every key visible: one step of decoding.

    The H / G query heads that share a key head become H / G query rows of one head, so each key is read once and not
    once a query head. `enable_gqa` would repeat the keys instead.
    """
    B, _, H, D = q.shape
    G = k.shape[2]
    rows = q.reshape(B, G, H // G, D)
    return F.scaled_dot_product_attention(rows, k.transpose(1, 2), v.transpose(1, 2), scale=scale).reshape(B, 1, H, D)


def attend_rows(
    q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor | None, scale: float | None = None
) -> torch.Tensor:
    """q (n, H, D), one query a text, keys and values (n, G, S, D), bias (n, 1, 1, S) or None -> (n, H, D).

    `attend_one_query` for keys that lie head by head, and for texts that don't see all of them.
    """
    (n, H, D), G = q.shape, keys.shape[1]
    rows = q.reshape(n, G, H // G, D)
    return F.scaled_dot_product_attention(rows, keys, values, attn_mask=bias, scale=scale).reshape(n, H, D)


def with_sink_key(
    k: torch.Tensor, v: torch.Tensor, sinks: torch.Tensor, seen: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """k and v (B, S, G, D), sinks (H,), seen (L, S) -> k and v (B, S + 1, G, D) and a bias (1, H, L, S + 1).

    A key of zeros scores 0 against every query, its bias makes that the sink's logit, and its value of zeros adds
    nothing: exactly what a sink is. The bias stays in float32 or wider, so a sink is not rounded to half precision.
    """
    H, (L, S) = sinks.shape[0], seen.shape
    working = torch.float64 if k.dtype == torch.float64 else torch.float32
    bias = torch.zeros(L, S, dtype=working, device=k.device).masked_fill(~seen, -math.inf)
    logits = sinks.to(working)[:, None, None]
    bias = torch.cat([bias.expand(H, L, S), logits.expand(H, L, 1)], dim=-1)[None]
    return F.pad(k, (0, 0, 0, 0, 0, 1)), F.pad(v, (0, 0, 0, 0, 0, 1)), bias
