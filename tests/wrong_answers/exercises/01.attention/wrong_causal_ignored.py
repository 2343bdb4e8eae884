"""Takes the flag and does nothing with it."""

import torch

LAYER = "values"


def answer(q, k, v, causal=False):
    D = q.shape[3]
    scores = torch.einsum("blhd,bshd->bhls", q, k) / D**0.5
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
    return torch.einsum("bhls,bshd->blhd", weights, v)
