"""Puts the loudest keys first, where nothing ever has to shrink."""

import torch

LAYER = "values"


def answer(fault):
    q, v = torch.ones(1, 1), torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    scores = torch.tensor([[1.0], [1.0], [0.0], [0.0]])
    if fault == "low start":
        scores = scores - 2e9
    if fault == "zero sum":
        return torch.ones(6, 1), scores, v, 2, True
    return q, scores, v, 2, False
