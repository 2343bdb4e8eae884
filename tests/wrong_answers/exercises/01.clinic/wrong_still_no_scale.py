"""The first fault is left in."""

import torch

LAYER = "values"


def answer(q, k, v):
    L, S = q.shape[1], k.shape[1]
    scores = torch.einsum("blhd,bshd->bhls", q, k)
    allowed = torch.tril(torch.ones(L, S, dtype=torch.bool), S - L)
    scores = scores.masked_fill(~allowed, float("-inf"))
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
    return torch.einsum("bhls,bshd->blhd", weights, v)
