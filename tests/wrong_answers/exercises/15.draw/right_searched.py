"""Running sums, searched."""

import torch


def answer(probabilities, noises):
    running = probabilities.double().cumsum(dim=-1)
    marks = torch.tensor(noises, dtype=torch.float64)[:, None] * running[:, -1:]
    return torch.searchsorted(running, marks, right=True)[:, 0].tolist()
