"""Asks the library."""

import torch.nn.functional as F

LAYER = "contract"


def answer(q, k, v, block_s=64):
    q, k, v = q[:, :, None], k.transpose(1, 2), v.transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)[:, :, 0]
