"""Merges the first two, the first three, and so on from the start."""

import math

import torch

LAYER = "resources"


def answer(outs, lses):
    for n in range(1, len(lses) + 1):
        lse = lses[:n].logsumexp(0)
        safe = torch.where(lse == -math.inf, 0.0, lse)
        shares = (lses[:n] - safe).exp()[..., None]
        out = (shares * torch.where(shares == 0, 0.0, outs[:n])).sum(0)
    return out, lse
