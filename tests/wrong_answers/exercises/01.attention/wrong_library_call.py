"""Calls the operator the exercise asks for."""

import torch.nn.functional as F

LAYER = "contract"


def answer(q, k, v, causal=False):
    return F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)), is_causal=causal).transpose(1, 2)
