"""Every second row, copied: the copy has no gaps."""

import torch

LAYER = "values"


def answer():
    x = torch.arange(150.0).reshape(3, 50)
    return x, x - 200, torch.arange(512.0).reshape(8, 64)[::2].contiguous()
