"""A transposed square for the strides."""

import torch


def answer():
    return torch.ones(1, 5), -torch.ones(2, 5), torch.arange(64.0).reshape(8, 8).T
