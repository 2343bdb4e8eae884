"""Masks the weights after the softmax and never renormalises."""

import torch

LAYER = "values"


def answer(q, k, v, causal=False):
    L, S, D = q.shape[1], k.shape[1], q.shape[3]
    weights = torch.softmax(torch.einsum("blhd,bshd->bhls", q, k) / D**0.5, dim=-1)
    if causal:
        weights = weights * torch.ones(L, S).tril(S - L).to(q.dtype)
    return torch.einsum("bhls,bshd->blhd", weights, v)
