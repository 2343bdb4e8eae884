"""Compares every token with every other."""

import torch

LAYER = "resources"


def answer(probabilities, p):
    ids = torch.arange(len(probabilities))
    row = probabilities.double()
    better = (row > row[:, None]) | ((row == row[:, None]) & (ids < ids[:, None]))
    before = (better * row).sum(-1)
    return (before < p) | (before == 0) if p < 1 else torch.ones_like(probabilities, dtype=torch.bool)
