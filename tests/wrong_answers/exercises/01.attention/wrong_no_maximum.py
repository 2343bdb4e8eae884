"""exp without taking the maximum off: overflows at large scores."""

import torch

LAYER = "values"


def answer(q, k, v, causal=False):
    L, S, D = q.shape[1], k.shape[1], q.shape[3]
    scores = torch.einsum("blhd,bshd->bhls", q, k) / D**0.5
    if causal:
        hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.exp(scores)
    weights = weights / weights.sum(-1, keepdim=True).clamp_min(1e-30)
    return torch.einsum("bhls,bshd->blhd", weights, v)
