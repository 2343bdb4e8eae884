"""The causal mask hides the query's own key too: < where <= belongs."""

import math

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("bottom_right", "values")


def walk(work):
    m, l, acc = work.begin()
    for start in work.starts:
        seen = work.visible(start)
        if work.causal:
            seen = seen & (work.offsets(start) < work.positions[:, None])
        s = work.scores(start).masked_fill(~seen, -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


attention = attention_of(walk)
