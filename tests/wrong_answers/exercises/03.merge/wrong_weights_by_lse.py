"""Weighs by the logs themselves."""

import torch

LAYER = "values"


def answer(out_a, lse_a, out_b, lse_b):
    total = lse_a + lse_b
    return (lse_a / total)[:, None] * out_a + (lse_b / total)[:, None] * out_b, torch.logaddexp(lse_a, lse_b)
