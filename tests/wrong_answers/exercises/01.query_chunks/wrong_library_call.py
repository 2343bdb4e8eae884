"""Calls the operator on each chunk."""

import torch
import torch.nn.functional as F

LAYER = "contract"


def answer(q, k, v, causal=False, chunk=64):
    out = torch.zeros_like(q)
    for start in range(0, q.shape[1], chunk):
        rows = (x.transpose(1, 2) for x in (q[:, start : start + chunk], k, v))
        out[:, start : start + chunk] = F.scaled_dot_product_attention(*rows).transpose(1, 2)
    return out
