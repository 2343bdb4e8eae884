"""Hides with a large finite number, then sets hidden weights to 0 itself."""

import torch


def answer(q, k, v):
    L, S, D = q.shape[1], k.shape[1], q.shape[3]
    seen = torch.arange(S) <= torch.arange(L)[:, None] + S - L
    scores = (q.transpose(1, 2) @ k.permute(0, 2, 3, 1)) * D**-0.5
    weights = torch.softmax(scores.masked_fill(~seen, torch.finfo(scores.dtype).min), dim=-1) * seen
    return (weights @ v.transpose(1, 2)).transpose(1, 2)
