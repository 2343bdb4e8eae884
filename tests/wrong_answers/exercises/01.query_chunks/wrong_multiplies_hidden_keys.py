"""Every chunk multiplies every key and hides half of them afterwards."""

import torch

LAYER = "resources"


def answer(q, k, v, causal=False, chunk=64):
    L, S, D = q.shape[1], k.shape[1], q.shape[3]
    out = torch.zeros_like(q)
    for start in range(0, L, chunk):
        rows = q[:, start : start + chunk]
        scores = torch.einsum("blhd,bshd->bhls", rows, k) / D**0.5
        if causal:
            hidden = torch.arange(S) > torch.arange(start, start + rows.shape[1])[:, None] + S - L
            scores = scores.masked_fill(hidden, float("-inf"))
        out[:, start : start + chunk] = torch.einsum("bhls,bshd->blhd", torch.softmax(scores, -1).nan_to_num(0.0), v)
    return out
