"""Repeats the list of heads, so that neighbours no longer share."""

import torch

LAYER = "values"


def answer(q, k, v, causal=False):
    (_, L, H, D), (_, S, G, _) = q.shape, k.shape
    k, v = (x.repeat(1, 1, H // G, 1) for x in (k, v))
    scores = torch.einsum("blhd,bshd->bhls", q, k) / D**0.5
    if causal:
        hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
    return torch.einsum("bhls,bshd->blhd", weights, v)
