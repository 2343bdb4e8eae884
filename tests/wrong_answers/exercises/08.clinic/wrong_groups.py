"""The group is still the inner part of the head index."""

import math

import torch

LAYER = "values"


def answer(q, k, v, seq_lens):
    (B, H, D), (S, G) = q.shape, k.shape[1:3]
    hidden = torch.arange(S) >= seq_lens[:, None]
    gone = hidden[:, :, None, None]
    rows = q.view(B, H // G, G, D).transpose(1, 2)
    scores = rows @ k.masked_fill(gone, 0.0).permute(0, 2, 3, 1) / math.sqrt(D)
    p = scores.masked_fill(hidden[:, None, None], -math.inf).softmax(-1)
    p = p.masked_fill((seq_lens == 0)[:, None, None, None], 0.0)
    return (p @ v.masked_fill(gone, 0.0).transpose(1, 2)).reshape(B, H, D)
