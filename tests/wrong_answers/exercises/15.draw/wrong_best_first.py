"""Lays the best tokens first."""

import torch

LAYER = "values"


def answer(probabilities, noises):
    best, order = probabilities.double().sort(descending=True, stable=True)
    running = best.cumsum(-1)
    marks = torch.tensor(noises, dtype=torch.float64)[:, None] * running[:, -1:]
    return order.gather(-1, torch.searchsorted(running, marks, right=True))[:, 0].tolist()
