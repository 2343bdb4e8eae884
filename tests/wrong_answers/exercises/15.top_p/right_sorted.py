"""Sorts, sums, puts back."""

import torch


def answer(probabilities, p):
    best, order = probabilities.sort(descending=True, stable=True)
    before = best.cumsum(dim=-1) - best
    kept = torch.empty(len(probabilities), dtype=torch.bool)
    kept[order] = (before < p) | (p >= 1)
    kept[order[0]] = True
    return kept
