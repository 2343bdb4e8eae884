"""Takes -inf from -inf."""

import torch

LAYER = "values"


def answer(out_a, lse_a, out_b, lse_b):
    m = torch.maximum(lse_a, lse_b)
    a, b = (lse_a - m).exp(), (lse_b - m).exp()
    return (a / (a + b))[:, None] * out_a + (b / (a + b))[:, None] * out_b, m + torch.log(a + b)
