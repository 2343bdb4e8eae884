"""The last head erases what the others sent."""

import torch

LAYER = "values"


def answer(k, v, q, dout, lse, delta, scale, block_l):
    dk, dv = torch.zeros_like(k), torch.zeros_like(v)
    lse = lse.masked_fill(lse == -torch.inf, torch.inf)
    for head in range(q.shape[1]):
        for first in range(0, len(q), block_l):
            rows = slice(first, first + block_l)
            if first == 0:
                dk, dv = torch.zeros_like(k), torch.zeros_like(v)
            p = torch.exp(q[rows, head] @ k.T * scale - lse[head, rows, None])
            dv += p.T @ dout[rows, head]
            ds = p * (dout[rows, head] @ v.T - delta[head, rows, None])
            dk += ds.T @ q[rows, head]
    return dk * scale, dv
