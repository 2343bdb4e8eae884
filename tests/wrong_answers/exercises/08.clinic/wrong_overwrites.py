"""Cleans the caller's tensors."""

import math

import torch

LAYER = "contract"


def answer(q, k, v, seq_lens):
    (B, H, D), (S, G) = q.shape, k.shape[1:3]
    hidden = torch.arange(S) >= seq_lens[:, None]
    k[hidden], v[hidden] = 0.0, 0.0
    rows = q.view(B, G, H // G, D)
    scores = rows @ k.permute(0, 2, 3, 1) / math.sqrt(D)
    p = scores.masked_fill(hidden[:, None, None], -math.inf).softmax(-1).nan_to_num(0.0)
    return (p @ v.transpose(1, 2)).reshape(B, H, D)
