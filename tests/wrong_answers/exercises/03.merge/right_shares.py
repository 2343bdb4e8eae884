"""Shares of the two parts, measured from the larger lse."""

import math

import torch


def answer(out_a, lse_a, out_b, lse_b):
    m = torch.maximum(lse_a, lse_b)
    m = torch.where(m == -math.inf, 0.0, m)
    a, b = (lse_a - m).exp(), (lse_b - m).exp()
    total = torch.where(a + b == 0, 1.0, a + b)
    return (a / total)[:, None] * out_a + (b / total)[:, None] * out_b, m + torch.log(a + b)
