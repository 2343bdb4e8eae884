"""Multiplies in half precision and widens the products."""

import torch

LAYER = "values"


def answer(out, dout):
    wide = torch.promote_types(out.dtype, torch.float32)
    return (out * dout).to(wide).sum(-1)
