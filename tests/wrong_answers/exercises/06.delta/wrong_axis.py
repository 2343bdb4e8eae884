"""Sums over the rows: one number a channel."""

import torch

LAYER = "contract"


def answer(out, dout):
    wide = torch.promote_types(out.dtype, torch.float32)
    return (out.to(wide) * dout.to(wide)).sum(0)
