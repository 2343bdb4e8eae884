"""The first is below 0, so its result is wrong as well."""

import torch

LAYER = "values"


def answer():
    x = torch.arange(150.0).reshape(3, 50)
    return x - 200, x - 200, torch.arange(512.0).reshape(8, 64)[::2]
