"""Collects what each block sends, and adds at the end."""

import torch

LAYER = "resources"


def answer(k, v, q, dout, lse, delta, scale, block_l):
    dk, dv = [], []
    lse = lse.masked_fill(lse == -torch.inf, torch.inf)
    for head in range(q.shape[1]):
        for first in range(0, len(q), block_l):
            rows = slice(first, first + block_l)
            p = torch.exp(q[rows, head] @ k.T * scale - lse[head, rows, None])
            ds = p * (dout[rows, head] @ v.T - delta[head, rows, None])
            dv.append(p.T @ dout[rows, head])
            dk.append(ds.T @ q[rows, head] * scale)
    return sum(dk), sum(dv)
