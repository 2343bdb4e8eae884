"""A dot for every row, in float32."""

import torch


def answer(out, dout):
    wide = torch.promote_types(out.dtype, torch.float32)
    return torch.einsum("ld,ld->l", out.to(wide), dout.to(wide))
