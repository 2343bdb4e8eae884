"""One row at a time."""

import torch


def answer(out, dout):
    wide = torch.promote_types(out.dtype, torch.float32)
    return torch.stack([a.to(wide) @ b.to(wide) for a, b in zip(out, dout, strict=True)])
