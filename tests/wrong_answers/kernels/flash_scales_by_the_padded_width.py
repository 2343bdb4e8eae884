"""The default scale is taken from the tile's width, which is padded to a power of two."""

import math

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("widths", "strided_views")


def walk(work):
    m, l, acc = work.begin()
    for start in work.starts:
        s = work.scores(start).masked_fill(~work.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


right = attention_of(walk)


def attention(q, k, v, *, scale=None, **options):
    padded = 1 << (q.shape[-1] - 1).bit_length()
    return right(q, k, v, scale=padded**-0.5 if scale is None else scale, **options)
