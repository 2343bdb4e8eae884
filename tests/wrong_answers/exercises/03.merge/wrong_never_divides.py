"""Weighs both parts from the larger lse and forgets that the shares must sum to 1."""

import math

import torch

LAYER = "values"


def answer(out_a, lse_a, out_b, lse_b):
    m = torch.maximum(lse_a, lse_b)
    m = torch.where(m == -math.inf, 0.0, m)
    a, b = (lse_a - m).exp(), (lse_b - m).exp()
    return a[:, None] * out_a + b[:, None] * out_b, m + torch.log(a + b)
