"""Walks over the keys twice: once for the maximum of all runs, once for the sums."""

import math

import torch

LAYER = "resources"


def answer(q, k, v, num_splits):
    if not len(k):
        return torch.zeros_like(q)
    runs = list(zip(*(x.split(-(-len(k) // num_splits)) for x in (k, v)), strict=True))
    m = torch.stack([(q @ keys.T).amax(1) for keys, _ in runs]).amax(0) / math.sqrt(q.shape[1])
    acc, l = torch.zeros_like(q), q.new_zeros(len(q))
    for keys, values in runs:
        p = torch.exp(q @ keys.T / math.sqrt(q.shape[1]) - m[:, None])
        acc, l = acc + p @ values, l + p.sum(1)
    return acc / l[:, None]
