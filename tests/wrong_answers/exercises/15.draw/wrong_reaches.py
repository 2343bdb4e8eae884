"""The first whose sum reaches the mark, also where it is 0."""

import torch

LAYER = "values"


def answer(probabilities, noises):
    running = probabilities.double().cumsum(-1)
    return torch.searchsorted(running, torch.tensor(noises, dtype=torch.float64)[:, None] * running[:, -1:])[
        :, 0
    ].tolist()
