"""Makes the products of all keys before it sums them."""

import math

import torch

LAYER = "resources"


def answer(acc, l, m, s, v):
    m_new = torch.maximum(m, s.amax(1))
    m_safe = torch.where(m_new == -math.inf, 0.0, m_new)
    p = torch.exp(s - m_safe[:, None])
    alpha = torch.exp(m - m_safe)
    return acc * alpha[:, None] + (p[:, :, None] * v).sum(1), l * alpha + p.sum(1), m_new
