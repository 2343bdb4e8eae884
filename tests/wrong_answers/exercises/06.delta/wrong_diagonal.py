"""Multiplies every row by every row, and keeps the diagonal."""

import torch

LAYER = "resources"


def answer(out, dout):
    wide = torch.promote_types(out.dtype, torch.float32)
    return (out.to(wide) @ dout.to(wide).T).diagonal().clone()
