"""The output so far is kept in the input's dtype: each tile costs a rounding."""

import math

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("half_precision",)


def walk(work):
    m, l, acc = work.begin()
    for start in work.starts:
        s = work.scores(start).masked_fill(~work.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc.float() * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        acc = acc.to(work.v.dtype)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc.float())


attention = attention_of(walk)
