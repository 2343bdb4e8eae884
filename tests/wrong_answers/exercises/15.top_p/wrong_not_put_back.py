"""Answers in the order of the sort."""

import torch

LAYER = "values"


def answer(probabilities, p):
    best, _ = probabilities.sort(descending=True, stable=True)
    kept = (best.cumsum(-1) - best < p) | torch.full_like(best, p >= 1, dtype=torch.bool)
    kept[0] = True
    return kept
