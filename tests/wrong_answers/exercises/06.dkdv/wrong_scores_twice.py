"""Multiplies q and k once for dv and again for dk."""

import torch

LAYER = "resources"


def answer(k, v, q, dout, lse, delta, scale, block_l):
    dk, dv = torch.zeros_like(k), torch.zeros_like(v)
    lse = lse.masked_fill(lse == -torch.inf, torch.inf)
    for head in range(q.shape[1]):
        for first in range(0, len(q), block_l):
            rows = slice(first, first + block_l)
            p = torch.exp(q[rows, head] @ k.T * scale - lse[head, rows, None])
            dv += p.T @ dout[rows, head]
            p = torch.exp(q[rows, head] @ k.T * scale - lse[head, rows, None])
            ds = p * (dout[rows, head] @ v.T - delta[head, rows, None])
            dk += ds.T @ q[rows, head]
    return dk * scale, dv
