"""Writes the result over its first part."""

import torch

LAYER = "contract"


def answer(out_a, lse_a, out_b, lse_b):
    lse = torch.logaddexp(lse_a, lse_b)
    share = (lse_b - lse).exp().nan_to_num(0.0)[:, None]
    out_a.mul_(1 - share).add_(share * out_b)
    return out_a.clone(), lse
