"""Sums with a triangle of V by V ones."""

import torch

LAYER = "resources"


def answer(probabilities, noises):
    V = probabilities.shape[1]
    running = probabilities.double() @ torch.ones(V, V, dtype=torch.float64).triu()
    marks = torch.tensor(noises, dtype=torch.float64)[:, None] * running[:, -1:]
    return torch.searchsorted(running, marks, right=True)[:, 0].tolist()
