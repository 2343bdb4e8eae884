"""Takes the maximum of the whole row first, and all its exponentials at once."""

import math

import torch

LAYER = "resources"


def answer(scores, values, tile):
    m = scores.max()
    p = torch.exp(scores - torch.where(m == -math.inf, 0.0, m))
    return p @ values / torch.where(p.sum() == 0, 1.0, p.sum())
