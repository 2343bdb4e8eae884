"""The same copy, by indexing with the list of key/value heads."""

import torch

LAYER = "resources"


def answer(q, k, v, causal=False):
    (_, L, H, D), (_, S, G, _) = q.shape, k.shape
    k, v = (x[:, :, torch.arange(H) // (H // G)] for x in (k, v))
    scores = torch.einsum("blhd,bshd->bhls", q, k) / D**0.5
    if causal:
        hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
    return torch.einsum("bhls,bshd->blhd", weights, v)
