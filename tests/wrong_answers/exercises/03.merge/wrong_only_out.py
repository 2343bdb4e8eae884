"""Forgets that the merged part must be able to merge again."""

import torch

LAYER = "contract"


def answer(out_a, lse_a, out_b, lse_b):
    share = torch.sigmoid(lse_b - lse_a).nan_to_num(0.0)[:, None]
    return (1 - share) * out_a + share * out_b
