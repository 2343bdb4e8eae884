"""Takes no maximum off."""

import math

import torch

LAYER = "values"


def answer(tiles):
    m, l = torch.tensor(-math.inf), torch.tensor(0.0)
    for tile in tiles:
        m = torch.maximum(m, tile.float().max())
        l = l + tile.float().exp().sum()
    return m, l * (-m).exp()
