"""Row after row, each over all keys at once: the rows are split and the keys are not."""

import math

import torch

LAYER = "resources"


def answer(q, k, v, num_splits):
    if not len(k):
        return torch.zeros_like(q)
    return torch.stack([(row @ k.T / math.sqrt(len(row))).softmax(0) @ v for row in q])
