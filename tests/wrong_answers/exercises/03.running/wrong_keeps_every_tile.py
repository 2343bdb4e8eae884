"""Reads once, by keeping the whole row."""

import math

import torch

LAYER = "resources"


def answer(tiles):
    kept = [tile.double() for tile in tiles]
    m = max((tile.max() for tile in kept), default=torch.tensor(-math.inf))
    m_safe = torch.where(m == -math.inf, 0.0, m)
    return m, sum((tile - m_safe).exp().sum() for tile in kept)
