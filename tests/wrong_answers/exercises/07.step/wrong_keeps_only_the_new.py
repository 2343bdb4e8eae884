"""Hands back only the new keys and values, so that the past is lost."""

import torch

import minillm as ml

LAYER = "contract"


def answer(q, k, v, past_k, past_v):
    keys, values = torch.cat([past_k, k]), torch.cat([past_v, v])
    return ml.attention(q[None], keys[None], values[None], causal=True)[0], k, v
