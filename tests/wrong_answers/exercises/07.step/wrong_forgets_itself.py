"""A new token looks at the past and not at itself."""

import torch

import minillm as ml

LAYER = "values"


def answer(q, k, v, past_k, past_v):
    keys, values = torch.cat([past_k, k]), torch.cat([past_v, v])
    return ml.attention(q[None], keys[None, :-1], values[None, :-1], causal=True)[0], keys, values
