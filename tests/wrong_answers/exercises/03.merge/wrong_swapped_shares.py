"""Gives each part the other's share."""

import torch

LAYER = "values"


def answer(out_a, lse_a, out_b, lse_b):
    share = torch.sigmoid(lse_a - lse_b).nan_to_num(0.0)[:, None]
    return (1 - share) * out_a + share * out_b, torch.logaddexp(lse_a, lse_b)
