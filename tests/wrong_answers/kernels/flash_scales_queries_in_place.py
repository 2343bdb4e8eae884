"""The scale is folded into the queries to save a multiplication a score, and into the caller's memory."""

import math

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("inputs_left_alone",)


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
    q.mul_(q.shape[-1] ** -0.5 if scale is None else scale)
    return right(q, k, v, scale=1.0, **options)
