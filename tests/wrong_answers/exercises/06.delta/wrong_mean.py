"""The mean over the channels."""

import torch

LAYER = "values"


def answer(out, dout):
    wide = torch.promote_types(out.dtype, torch.float32)
    return (out.to(wide) * dout.to(wide)).mean(-1)
