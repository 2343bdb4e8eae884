"""The author's own test, three times."""

import torch

LAYER = "values"


def answer():
    return torch.ones(8, 64), torch.ones(8, 64), torch.ones(8, 64)
