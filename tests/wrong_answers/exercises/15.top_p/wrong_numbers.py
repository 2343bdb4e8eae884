"""Returns probabilities, not which tokens."""

import torch

LAYER = "contract"


def answer(probabilities, p):
    best, order = probabilities.sort(descending=True, stable=True)
    kept = torch.empty_like(probabilities)
    kept[order] = best * (best.cumsum(-1) - best < p)
    return kept
