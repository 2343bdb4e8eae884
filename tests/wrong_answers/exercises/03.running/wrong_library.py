"""Lets the library do it."""

import math

import torch

LAYER = "contract"


def answer(tiles):
    row = torch.cat([torch.full((1,), -math.inf), *tiles]).double()
    m = row.max()
    return m, torch.where(m == -math.inf, 0.0, (row.logsumexp(0) - m).exp())
