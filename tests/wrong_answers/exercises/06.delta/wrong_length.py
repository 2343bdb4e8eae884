"""The length of dout, without out."""

import torch

LAYER = "values"


def answer(out, dout):
    wide = torch.promote_types(out.dtype, torch.float32)
    return (dout.to(wide) * dout.to(wide)).sum(-1)
