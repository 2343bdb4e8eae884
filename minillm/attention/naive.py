"""Attention in its plainest form: every query asks every key, and mixes the values by the answers.

For each query row the scores against all keys are written down, turned into probabilities that sum to one, and used to
average the values. It stores the whole (L, S) table of scores, which is what later rungs learn to avoid; in exchange
every step is visible, so this file is the oracle that every other rung, check and figure is compared with.

One query row, five lines (`attention_scores` holds the first, `softmax_with_lse` the next three):

    s = softcap(q @ k.T * scale), and -inf where the row may not look
    m = max(s)
    e = exp(s - m)
    l = sum(e)                      a sink adds exp(sink - m) here, and nothing below
    o = (e / l) @ v,  lse = m + log(l)
"""

from __future__ import annotations

import math

import torch

from minillm.attention.validate import validate


def naive_attention(
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
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """q (B, L, H, D), k and v (B, S, G, D) -> out (B, L, H, D), and lse (B, H, L) in natural log if `return_lse`.

    float64 stays float64 throughout. Anything narrower is widened to float32 once at the start and rounded once at the
    end, so a bfloat16 result is the float32 result rounded; lse is then float32. Options mean what they mean in
    `ml.attention`. A row that sees nothing gives 0 and lse -inf, or lse = sink when there is one, and finite gradients.

    Raises InvalidValue or InvalidType before any work. Source: Vaswani et al., "Attention is all you need" (2017).
    """
    validate(q, k, v, causal, window, softcap, sinks, scale, return_lse)
    probabilities, lse = attention_probabilities(
        q, k, causal=causal, window=window, softcap=softcap, sinks=sinks, scale=scale
    )
    values = share_heads(v.to(probabilities.dtype), q.shape[2]).transpose(1, 2)  # (B, H, S, D)
    out = (probabilities @ values).transpose(1, 2).to(q.dtype)  # (B, L, H, D)
    return (out, lse) if return_lse else out


def attention_probabilities(
    q: torch.Tensor,
    k: torch.Tensor,
    *,
    causal: bool = False,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
    scale: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """q (B, L, H, D), k (B, S, G, D) -> probabilities (B, H, L, S) and lse (B, H, L), in the working precision.

    What a heat-map of attention shows. Rows sum to one, or to less where a sink took its share. Arguments are trusted.
    """
    scores = attention_scores(q, k, causal=causal, window=window, softcap=softcap, scale=scale)
    return softmax_with_lse(scores, sinks)


def attention_scores(
    q: torch.Tensor,
    k: torch.Tensor,
    *,
    causal: bool = False,
    window: int | None = None,
    softcap: float = 0.0,
    scale: float | None = None,
) -> torch.Tensor:
    """q (B, L, H, D), k (B, S, G, D) -> scores (B, H, L, S): scaled, then capped, then masked, in that order.

    The order matters: capping a masked score would bring -inf back to -softcap, and the row would see it again.
    """
    _, L, H, D = q.shape
    S = k.shape[1]
    working = torch.float64 if q.dtype == torch.float64 else torch.float32
    queries = q.to(working).transpose(1, 2)  # (B, H, L, D)
    keys = share_heads(k.to(working), H).transpose(1, 2)  # (B, H, S, D)
    scores = queries @ keys.transpose(-1, -2) * (1 / math.sqrt(D) if scale is None else scale)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    if causal or window is not None:
        scores = scores.masked_fill(~visible(L, S, causal, window, q.device), -math.inf)
    return scores


def softmax_with_lse(scores: torch.Tensor, sinks: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """scores (B, H, L, S) -> probabilities (B, H, L, S) and lse (B, H, L); sinks (H,) join the sum and get no column.

    Two guards keep rows that see nothing free of NaN, forwards and backwards: their maximum counts as 0 and their sum
    as 1. The maximum is a constant to autograd: it only moves the numbers into range, and its gradient cancels.
    """
    highest = row_maximum(scores.detach())
    if sinks is not None:
        sinks = sinks.to(scores.dtype)[:, None]  # (H, 1)
        highest = torch.maximum(highest, sinks.detach())
    highest = highest.masked_fill(highest == -math.inf, 0.0)
    weights = torch.exp(scores - highest[..., None])
    total = weights.sum(-1)
    if sinks is not None:
        total = total + torch.exp(sinks - highest)
    blind = total == 0
    total = total.masked_fill(blind, 1.0)
    return weights / total[..., None], (highest + torch.log(total)).masked_fill(blind, -math.inf)


def row_maximum(scores: torch.Tensor) -> torch.Tensor:
    """scores (..., S) -> the largest score of each row (...), which is -inf when there are no keys at all."""
    return scores.amax(-1) if scores.shape[-1] else scores.new_full(scores.shape[:-1], -math.inf)


def share_heads(x: torch.Tensor, num_heads: int) -> torch.Tensor:
    """x (B, S, G, D) -> (B, S, H, D): query head h reads key/value head h // (H / G), so neighbours share.

    The expansion itself is a view; flattening it is what copies, and with H = G nothing is copied. Later rungs read the
    shared head in place instead, which is the point of sharing it.
    """
    B, S, G, D = x.shape
    return x.unsqueeze(3).expand(B, S, G, num_heads // G, D).flatten(2, 3)


def visible(L: int, S: int, causal: bool, window: int | None, device: torch.device | str = "cpu") -> torch.Tensor:
    """L queries, S keys -> bool (L, S), True where the query may look. The last query stands at the last key.

    Query i has position i + S - L. Causal hides keys after it; a window of w hides keys w or more positions before it.
    """
    positions = torch.arange(L, device=device)[:, None] + S - L  # (L, 1)
    keys = torch.arange(S, device=device)  # (S,)
    seen = torch.ones(L, S, dtype=torch.bool, device=device)
    if causal:
        seen = seen & (keys <= positions)
    if window is not None:
        seen = seen & (keys > positions - window)
    return seen
