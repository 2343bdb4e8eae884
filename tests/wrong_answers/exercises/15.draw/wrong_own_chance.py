"""Draws with a generator of its own and does not read the noise."""

import torch

LAYER = "values"


def answer(probabilities, noises):
    generator = torch.Generator().manual_seed(0)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0].tolist()
