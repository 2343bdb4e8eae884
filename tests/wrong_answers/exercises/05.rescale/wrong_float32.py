"""Computes in float32, whatever came."""

import math

import torch

LAYER = "values"


def answer(acc, l, m, s, v):
    m_new = torch.maximum(m, s.amax(1))
    m_safe = torch.where(m_new == -math.inf, 0.0, m_new)
    p = torch.exp(s - m_safe[:, None]).float().to(s.dtype)
    alpha = torch.exp(m - m_safe)
    return acc * alpha[:, None] + p @ v, l * alpha + p.sum(1), m_new
