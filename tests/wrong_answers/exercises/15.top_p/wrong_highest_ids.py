"""Takes the highest ids among equals."""

import torch

LAYER = "values"


def answer(probabilities, p):
    best, order = probabilities.flip(0).sort(descending=True, stable=True)
    kept = torch.empty(len(probabilities), dtype=torch.bool)
    kept[order] = (best.cumsum(-1) - best < p) | (p >= 1)
    kept[order[0]] = True
    return kept.flip(0)
