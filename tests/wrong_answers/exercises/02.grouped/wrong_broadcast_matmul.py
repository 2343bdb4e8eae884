"""Lets matmul broadcast the key heads over the group, which copies them behind the scenes."""

import torch

LAYER = "resources"


def answer(q, k, v, causal=False):
    (_, L, H, D), (_, S, G, _) = q.shape, k.shape
    q = q.unflatten(2, (G, H // G)).permute(0, 2, 3, 1, 4)  # (B, G, R, L, D)
    k, v = (x.transpose(1, 2).unsqueeze(2) for x in (k, v))  # (B, G, 1, S, D)
    scores = q @ k.mT / D**0.5
    if causal:
        hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
    return (weights @ v).flatten(1, 2).transpose(1, 2).contiguous()
