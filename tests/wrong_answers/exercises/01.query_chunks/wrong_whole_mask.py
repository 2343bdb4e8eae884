"""The scores come in chunks, the mask does not."""

import torch

LAYER = "resources"


def answer(q, k, v, causal=False, chunk=64):
    L, S, D = q.shape[1], k.shape[1], q.shape[3]
    hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
    out = torch.zeros_like(q)
    for start in range(0, L, chunk):
        rows = slice(start, start + chunk)
        scores = torch.einsum("blhd,bshd->bhls", q[:, rows], k) / D**0.5
        if causal:
            scores = scores.masked_fill(hidden[rows], float("-inf"))
        out[:, rows] = torch.einsum("bhls,bshd->blhd", torch.softmax(scores, -1).nan_to_num(0.0), v)
    return out
