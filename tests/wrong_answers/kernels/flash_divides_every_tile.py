"""The output is divided by the sum after every tile, as FlashAttention 1 does, but shrunk as FlashAttention 2 does."""

import math

import torch
from blockwise import attention_of, finite

CAUGHT_BY = ("ones_stay_one", "values")


def walk(work):
    m, l, acc = work.begin()
    for start in work.starts:
        s = work.scores(start).masked_fill(~work.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        acc = acc / torch.where(l == 0, 1.0, l)[:, None]
        m = m_new
    return acc, m + torch.where(l == 0, 1.0, l).log()


attention = attention_of(walk)
