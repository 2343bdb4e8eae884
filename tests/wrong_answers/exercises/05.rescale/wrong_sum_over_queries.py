"""Sums along the queries."""

import math

import torch

LAYER = "contract"


def answer(acc, l, m, s, v):
    m_new = torch.maximum(m, s.amax(1))
    m_safe = torch.where(m_new == -math.inf, 0.0, m_new)
    p = torch.exp(s - m_safe[:, None])
    alpha = torch.exp(m - m_safe)
    return acc * alpha[:, None] + p @ v, l * alpha + p.sum(0), m_new
