"""Scores and mask written out, heads expanded."""

import torch


def answer(q, k, v, past_k, past_v):
    keys, values = torch.cat([past_k, k]), torch.cat([past_v, v])
    (L, H, D), (S, G, _) = q.shape, keys.shape
    wide_k, wide_v = keys.repeat_interleave(H // G, 1), values.repeat_interleave(H // G, 1)
    scores = torch.einsum("lhd,shd->hls", q, wide_k) / D**0.5
    hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
    weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
    return torch.einsum("hls,shd->lhd", weights, wide_v), keys, values
