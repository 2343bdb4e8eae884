"""Asks the library."""

import torch
import torch.nn.functional as F

LAYER = "contract"


def answer(q, k, v, num_splits):
    return F.scaled_dot_product_attention(q[None], k[None], v[None])[0] if len(k) else torch.zeros_like(q)
