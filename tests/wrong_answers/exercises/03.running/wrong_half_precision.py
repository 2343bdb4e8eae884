"""Keeps l in the dtype of the tiles."""

import math

import torch

LAYER = "values"


def answer(tiles):
    m, l = -math.inf, 0.0
    for tile in tiles:
        m_new = torch.maximum(torch.full_like(tile[0], m), tile.max())
        m_safe = torch.where(m_new == -math.inf, 0.0, m_new)
        l = l * (m - m_safe).exp() + (tile - m_safe).exp().sum()
        m = m_new
    return m, l
