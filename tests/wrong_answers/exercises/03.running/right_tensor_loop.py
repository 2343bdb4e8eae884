"""The loop of the kernel."""

import math

import torch


def answer(tiles):
    m, l = torch.tensor(-math.inf), torch.tensor(0.0)
    for tile in tiles:
        tile = tile.to(torch.promote_types(tile.dtype, torch.float32))
        m_new = torch.maximum(m, tile.max())
        m_safe = torch.where(m_new == -math.inf, 0.0, m_new)
        l = l * (m - m_safe).exp() + (tile - m_safe).exp().sum()
        m = m_new
    return m, l
