"""Lets autograd go through p = exp(log p - logsumexp), and mends what zeros do."""

import torch


def answer(p, dp):
    inner = dp - (dp * p).sum(-1)[..., None]
    return torch.where(p == 0, 0.0, inner * p)
