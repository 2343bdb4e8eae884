"""The third writes outside, too."""

import torch

LAYER = "values"


def answer():
    x = torch.arange(150.0).reshape(3, 50)
    return x, x - 200, torch.arange(400.0).reshape(8, 50)[::2]
