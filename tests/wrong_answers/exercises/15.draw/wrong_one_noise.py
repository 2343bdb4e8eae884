"""One noise for all rows."""

import torch

LAYER = "values"


def answer(probabilities, noises):
    running = probabilities.double().cumsum(-1)
    return torch.searchsorted(running, noises[0] * running[:, -1:], right=True)[:, 0].tolist()
