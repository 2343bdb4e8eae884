"""Keeps out divided all the time, and weighs old and new by their sums."""

import math

import torch


def answer(scores, values, tile):
    m, l, out = -math.inf, 0.0, torch.zeros_like(values[0])
    for some, mine in zip(scores.split(tile), values.split(tile), strict=True):
        m_new = max(m, some.max().item())
        if m_new == -math.inf:
            continue
        p = torch.exp(some - m_new)
        old = l * math.exp(m - m_new)
        l, m = old + p.sum().item(), m_new
        out = (old * out + p @ mine) / l
    return out
