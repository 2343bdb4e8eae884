"""The library adds the sums in log space."""

import torch


def answer(out_a, lse_a, out_b, lse_b):
    lse = torch.logaddexp(lse_a, lse_b)
    share = (lse_b - lse).exp().nan_to_num(0.0)[:, None]
    return torch.lerp(out_a, out_b, share), lse
