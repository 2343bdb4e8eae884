"""Puts the new tokens before the old ones."""

import torch

import minillm as ml

LAYER = "values"


def answer(q, k, v, past_k, past_v):
    keys, values = torch.cat([k, past_k]), torch.cat([v, past_v])
    return ml.attention(q[None], keys[None], values[None], causal=True)[0], keys, values
