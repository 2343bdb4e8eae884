"""Calls the library."""

import torch

LAYER = "contract"


def answer(p, dp):
    return torch._softmax_backward_data(dp, p, -1, p.dtype)
