"""Averages the queries of a group, so that its heads ask one question."""

import torch

LAYER = "values"


def answer(q, k, v, causal=False):
    (_, L, H, D), (_, S, G, _) = q.shape, k.shape
    q = q.unflatten(2, (G, H // G)).mean(3, keepdim=True).expand(-1, -1, -1, H // G, -1)
    scores = torch.einsum("blgrd,bsgd->bgrls", q, k) / D**0.5
    if causal:
        hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
    return torch.einsum("bgrls,bsgd->blgrd", weights, v).flatten(2, 3)
