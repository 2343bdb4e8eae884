"""Holds the scores of all keys at once."""

import math

import torch

from minillm.measure.chip import load, on_chip, store

LAYER = "resources"


def answer(q, k, v, block_s=64):
    (B, H, D), G = q.shape, k.shape[2]
    R = H // G
    state = torch.promote_types(q.dtype, torch.float32)
    out = torch.empty_like(q)
    for b in range(B):
        for g in range(G):
            group = slice(g * R, (g + 1) * R)
            with on_chip():
                scores = load(q[b, group]).to(state) @ load(k[b, :, g]).to(state).T / math.sqrt(D)
                store(out[b, group], scores.softmax(1) @ load(v[b, :, g]).to(state))
    return out
