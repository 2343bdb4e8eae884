"""Double precision and a scatter."""

import torch


def answer(probabilities, p):
    best, order = torch.sort(probabilities.double(), descending=True, stable=True)
    keep = best.cumsum(0).roll(1) < p
    keep[0] = True
    if p == 1:
        keep[:] = True
    return torch.zeros_like(keep).scatter(0, order, keep)
