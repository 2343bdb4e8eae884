"""Cuts the token that crosses the line."""

import torch

LAYER = "values"


def answer(probabilities, p):
    best, order = probabilities.sort(descending=True, stable=True)
    kept = torch.empty(len(probabilities), dtype=torch.bool)
    kept[order] = best.cumsum(-1) <= p
    kept[order[0]] = True
    return kept
