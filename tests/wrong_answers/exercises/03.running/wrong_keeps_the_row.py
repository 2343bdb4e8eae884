"""Reads once and puts the row together again on chip."""

import math

import torch

LAYER = "resources"


def answer(tiles):
    row = torch.cat([torch.full((1,), -math.inf), *tiles]).double()
    m = row.max()
    return m, (row - torch.where(m == -math.inf, 0.0, m)).exp().sum()
