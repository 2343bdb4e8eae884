"""Cuts off from the other end, down to nothing."""

import torch

LAYER = "values"


def answer(probabilities, p):
    worst, order = probabilities.flip(0).sort(stable=True)
    kept = torch.empty(len(probabilities), dtype=torch.bool)
    kept[order] = (worst.cumsum(-1) > 1 - p) | (p >= 1)
    return kept.flip(0)
