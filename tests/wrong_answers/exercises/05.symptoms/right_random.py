"""Random keys for the first two, causal throughout."""

import torch


def answer(fault):
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(n, 8, generator=generator, dtype=torch.float64) for n in (9, 7, 7))
    if fault == "low start":
        q, k = 1e6 * q.abs(), -1e6 * k.abs()
    return q if fault == "zero sum" else q[:7], k, v, 1, True
