"""Measures every row from the largest lse of all rows: quiet rows vanish."""

import math

import torch

LAYER = "values"


def answer(outs, lses):
    m = lses.max()
    m = torch.where(m == -math.inf, 0.0, m)
    p = torch.exp(lses - m)
    l = p.sum(0)
    outs = torch.where((lses == -math.inf)[..., None], 0.0, outs)
    return (p[..., None] * outs).sum(0) / torch.where(l == 0, 1.0, l)[:, None], m + torch.log(l)
