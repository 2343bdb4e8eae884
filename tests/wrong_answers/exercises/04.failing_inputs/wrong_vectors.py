"""Rows without a matrix."""

import torch

LAYER = "contract"


def answer():
    return torch.ones(50), -torch.ones(50), torch.ones(50)
