"""First the maximum, then the sum: right, and read twice."""

import math

import torch

LAYER = "resources"


def answer(tiles):
    m = max((tile.double().max() for tile in tiles), default=torch.tensor(-math.inf))
    m_safe = torch.where(m == -math.inf, 0.0, m)
    return m, sum((tile.double() - m_safe).exp().sum() for tile in tiles)
