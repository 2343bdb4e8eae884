"""The scores of every query in one go."""

import torch

LAYER = "resources"


def answer(k, v, q, dout, lse, delta, scale, block_l):
    dk, dv = torch.zeros_like(k), torch.zeros_like(v)
    lse = lse.masked_fill(lse == -torch.inf, torch.inf)
    for head in range(q.shape[1]):
        for rows in [slice(None)]:
            p = torch.exp(q[rows, head] @ k.T * scale - lse[head, rows, None])
            dv += p.T @ dout[rows, head]
            ds = p * (dout[rows, head] @ v.T - delta[head, rows, None])
            dk += ds.T @ q[rows, head]
    return dk * scale, dv
