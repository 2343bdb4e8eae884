"""The second is wrong because of its strides."""

import torch

LAYER = "values"


def answer():
    x, gaps = torch.arange(150.0).reshape(3, 50), torch.arange(512.0).reshape(8, 64)[::2]
    return x, gaps, gaps
