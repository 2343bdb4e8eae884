"""A softmax over the runs: NaN where no run saw anything."""

import torch

LAYER = "values"


def answer(outs, lses):
    shares = lses.softmax(0)[..., None]
    return (shares * torch.where(shares == 0, 0.0, outs)).sum(0), lses.logsumexp(0)
