"""No kernel at all."""

import torch

LAYER = "contract"


def answer(q, k, v, out):
    R = q.shape[0] // k.shape[1]
    scores = torch.einsum("hd,shd->hs", q, k.repeat_interleave(R, 1)) / q.shape[1] ** 0.5
    return out.copy_(torch.einsum("hs,shd->hd", scores.softmax(-1), v.repeat_interleave(R, 1)))
