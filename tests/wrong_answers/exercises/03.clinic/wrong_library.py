"""Lets the library do it."""

import torch

LAYER = "contract"


def answer(scores, values, tile):
    return torch.softmax(scores, 0).nan_to_num(0.0) @ values
