"""The sum is taken to be positive, as it is whenever there is a key to see."""

import math

import torch
from blockwise import attention_of, finite

CAUGHT_BY = ("none_and_one", "bottom_right")


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
    return acc / l[:, None], m + l.log()


attention = attention_of(walk)
