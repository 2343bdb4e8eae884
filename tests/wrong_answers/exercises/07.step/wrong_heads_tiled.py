"""Repeats the list of heads, where each head should be repeated."""

import torch

import minillm as ml

LAYER = "values"


def answer(q, k, v, past_k, past_v):
    keys, values = torch.cat([past_k, k]), torch.cat([past_v, v])
    R = q.shape[1] // k.shape[1]
    wide = (keys.repeat(1, R, 1)[None], values.repeat(1, R, 1)[None])
    return ml.attention(q[None], *wide, causal=True)[0], keys, values
