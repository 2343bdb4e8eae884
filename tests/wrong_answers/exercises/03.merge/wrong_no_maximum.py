"""Exponentiates lse itself."""

import torch

LAYER = "values"


def answer(out_a, lse_a, out_b, lse_b):
    a, b = lse_a.exp(), lse_b.exp()
    total = torch.where(a + b == 0, 1.0, a + b)
    return (a / total)[:, None] * out_a + (b / total)[:, None] * out_b, torch.log(a + b)
