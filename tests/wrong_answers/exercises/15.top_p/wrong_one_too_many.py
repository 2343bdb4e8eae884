"""Keeps one more where p is reached exactly."""

import torch

LAYER = "values"


def answer(probabilities, p):
    best, order = probabilities.sort(descending=True, stable=True)
    kept = torch.empty(len(probabilities), dtype=torch.bool)
    kept[order] = best.cumsum(-1) - best <= p
    return kept
