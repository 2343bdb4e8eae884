"""Calls the operator that already shares heads."""

import torch.nn.functional as F

LAYER = "contract"


def answer(q, k, v, causal=False):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True).transpose(1, 2)
