"""A maximum of -inf is subtracted as it stands: -inf - -inf is NaN in rows that see nothing, or nothing yet."""

import math

import torch
from blockwise import attention_of, finish

CAUGHT_BY = ("bottom_right", "values")


def walk(work):
    m, l, acc = work.begin()
    for start in work.starts:
        s = work.scores(start).masked_fill(~work.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - m_new[:, None])
        alpha = torch.exp(m - m_new)
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


attention = attention_of(walk)
