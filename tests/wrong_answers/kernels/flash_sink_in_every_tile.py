"""The sink is one more column of every tile, so it is counted once a tile."""

import math

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("sinks_count_once", "values")


def walk(work):
    m, l, acc = work.begin()
    for start in work.starts:
        s = work.scores(start).masked_fill(~work.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        if work.sink is not None and start:
            l = l + torch.exp(work.sink - m_new)
        m = m_new
    return finish(m, l, acc)


attention = attention_of(walk)
