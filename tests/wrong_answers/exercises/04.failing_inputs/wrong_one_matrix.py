"""A matrix in place of three."""

import torch

LAYER = "contract"


def answer():
    return torch.randn(8, 50)
