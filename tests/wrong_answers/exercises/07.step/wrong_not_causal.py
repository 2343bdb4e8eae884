"""Lets the tokens of a chunk see each other's future."""

import torch

import minillm as ml

LAYER = "values"


def answer(q, k, v, past_k, past_v):
    keys, values = torch.cat([past_k, k]), torch.cat([past_v, v])
    return ml.attention(q[None], keys[None], values[None])[0], keys, values
