"""-inf, but nobody catches the row that saw nothing."""

import torch

LAYER = "values"


def answer(q, k, v):
    L, S, D = q.shape[1], k.shape[1], q.shape[3]
    scores = torch.einsum("blhd,bshd->bhls", q, k) / D**0.5
    allowed = torch.tril(torch.ones(L, S, dtype=torch.bool), S - L)
    scores = scores.masked_fill(~allowed, float("-inf"))
    weights = torch.softmax(scores, dim=-1)
    return torch.einsum("bhls,bshd->blhd", weights, v)
