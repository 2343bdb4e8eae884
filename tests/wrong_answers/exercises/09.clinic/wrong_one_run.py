"""Right, and nothing is split."""

import math

import torch

LAYER = "resources"


def answer(q, k, v, num_splits):
    s = q @ k.T / math.sqrt(q.shape[1])
    return s.softmax(1) @ v if len(k) else torch.zeros_like(q)
