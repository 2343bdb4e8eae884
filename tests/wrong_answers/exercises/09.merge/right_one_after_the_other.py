"""A running state, as a kernel keeps it."""

import math

import torch


def answer(outs, lses):
    m = torch.full_like(lses[0], -math.inf)
    total, mixed = torch.zeros_like(m), torch.zeros_like(outs[0])
    for out, lse in zip(outs, lses, strict=True):
        now = torch.maximum(m, lse)
        guard = torch.where(now == -math.inf, 0.0, now)
        weight, shrink = (lse - guard).exp(), (m - guard).exp()
        mixed = mixed * shrink[:, None] + torch.where(weight[:, None] == 0, 0.0, out) * weight[:, None]
        total, m = total * shrink + weight, now
    whole = torch.where(total == 0, 1.0, total)
    return mixed / whole[:, None], m + whole.log()
