"""Takes for granted that a row sums to 1."""

import torch

LAYER = "values"


def answer(probabilities, noises):
    running = probabilities.double().cumsum(-1)
    found = torch.searchsorted(running, torch.tensor(noises, dtype=torch.float64)[:, None], right=True)
    return found[:, 0].clamp(max=probabilities.shape[1] - 1).tolist()
