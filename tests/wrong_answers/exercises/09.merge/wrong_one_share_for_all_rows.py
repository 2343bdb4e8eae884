"""One share a run, whatever the row."""

import math

import torch

LAYER = "values"


def answer(outs, lses):
    lse = lses.logsumexp(0)
    safe = torch.where(lse == -math.inf, 0.0, lse)
    shares = (lses - safe).exp().mean(1)[:, None, None]
    return (shares * torch.where(shares == 0, 0.0, outs)).sum(0), lse
