"""exp(lse) as it is."""

import torch

LAYER = "values"


def answer(outs, lses):
    weights = lses.exp()
    total = weights.sum(0)
    mixed = (weights[..., None] * torch.where(weights[..., None] == 0, 0.0, outs)).sum(0)
    return mixed / torch.where(total == 0, 1.0, total)[:, None], total.log()
