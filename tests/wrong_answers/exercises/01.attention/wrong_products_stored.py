"""Multiplies every query with every key before summing: D times the memory of the scores."""

import torch

LAYER = "resources"


def answer(q, k, v, causal=False):
    L, S, D = q.shape[1], k.shape[1], q.shape[3]
    scores = (q.transpose(1, 2)[:, :, :, None] * k.transpose(1, 2)[:, :, None]).sum(-1) / D**0.5
    if causal:
        hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
    return torch.einsum("bhls,bshd->blhd", weights, v)
