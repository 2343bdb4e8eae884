"""The third fault is left in: a row that sees nothing averages everything."""

import torch

LAYER = "values"


def answer(q, k, v):
    L, S, D = q.shape[1], k.shape[1], q.shape[3]
    scores = torch.einsum("blhd,bshd->bhls", q, k) / D**0.5
    allowed = torch.tril(torch.ones(L, S, dtype=torch.bool), S - L)
    scores = scores.masked_fill(~allowed, -1e9)
    weights = torch.softmax(scores, dim=-1)
    return torch.einsum("bhls,bshd->blhd", weights, v)
