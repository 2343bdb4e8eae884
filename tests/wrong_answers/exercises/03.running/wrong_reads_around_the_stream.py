"""Takes the row out of the stream, so that no tile is ever loaded."""

import math

import torch

LAYER = "resources"


def answer(tiles):
    row = tiles.row.double()
    m = row.max() if len(row) else torch.tensor(-math.inf)
    return m, (row - torch.where(m == -math.inf, 0.0, m)).exp().sum()
