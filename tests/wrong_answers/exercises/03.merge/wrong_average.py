"""Takes the plain mean of the two parts."""

import torch

LAYER = "values"


def answer(out_a, lse_a, out_b, lse_b):
    return (out_a + out_b) / 2, torch.logaddexp(lse_a, lse_b)
