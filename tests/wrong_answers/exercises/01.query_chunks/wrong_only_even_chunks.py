"""Rounds an odd chunk down and leaves the row between untouched."""

import torch

LAYER = "properties"


def attend(q, k, v, causal):
    L, S, D = q.shape[1], k.shape[1], q.shape[3]
    scores = torch.einsum("blhd,bshd->bhls", q, k) / D**0.5
    if causal:
        hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
    return torch.einsum("bhls,bshd->blhd", weights, v)


def answer(q, k, v, causal=False, chunk=64):
    L, S = q.shape[1], k.shape[1]
    out = torch.zeros_like(q)
    for start in range(0, L, chunk):
        stop = min(start + max(chunk // 2 * 2, 1), L)
        seen = max(0, stop + S - L) if causal else S
        out[:, start:stop] = attend(q[:, start:stop], k[:, :seen], v[:, :seen], causal)
    return out
