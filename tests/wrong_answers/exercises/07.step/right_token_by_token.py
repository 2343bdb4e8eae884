"""One new token at a time, each appended before it looks."""

import torch

import minillm as ml


def answer(q, k, v, past_k, past_v):
    outs = []
    for i in range(len(q)):
        past_k, past_v = torch.cat([past_k, k[i : i + 1]]), torch.cat([past_v, v[i : i + 1]])
        outs.append(ml.attention(q[None, i : i + 1], past_k[None], past_v[None])[0])
    return torch.cat(outs), past_k, past_v
