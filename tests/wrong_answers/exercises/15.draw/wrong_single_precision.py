"""Rounds the noise to 24 bits: the largest becomes 1."""

import torch

LAYER = "values"


def answer(probabilities, noises):
    running = probabilities.cumsum(-1)
    found = torch.searchsorted(running, torch.tensor(noises)[:, None] * running[:, -1:], right=True)
    return found[:, 0].tolist()
