"""Adds logs where sums must be added."""

import torch

LAYER = "values"


def answer(out_a, lse_a, out_b, lse_b):
    share = torch.sigmoid(lse_b - lse_a).nan_to_num(0.0)[:, None]
    return (1 - share) * out_a + share * out_b, lse_a + lse_b
