"""Attends among the new tokens alone."""

import torch

import minillm as ml

LAYER = "values"


def answer(q, k, v, past_k, past_v):
    out = ml.attention(q[None], k[None], v[None], causal=True)[0]
    return out, torch.cat([past_k, k]), torch.cat([past_v, v])
