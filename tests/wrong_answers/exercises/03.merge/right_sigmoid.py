"""The share of the second part is a sigmoid of the difference."""

import torch


def answer(out_a, lse_a, out_b, lse_b):
    share = torch.sigmoid(lse_b - lse_a).nan_to_num(0.0)[:, None]
    return (1 - share) * out_a + share * out_b, torch.logaddexp(lse_a, lse_b)
