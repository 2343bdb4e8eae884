"""Each chunk is masked as if it were the last."""

import torch

LAYER = "values"


def attend(q, k, v, causal):
    L, S, D = q.shape[1], k.shape[1], q.shape[3]
    scores = torch.einsum("blhd,bshd->bhls", q, k) / D**0.5
    if causal:
        hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
    return torch.einsum("bhls,bshd->blhd", weights, v)


def answer(q, k, v, causal=False, chunk=64):
    out = torch.zeros_like(q)
    for start in range(0, q.shape[1], chunk):
        out[:, start : start + chunk] = attend(q[:, start : start + chunk], k, v, causal)
    return out
