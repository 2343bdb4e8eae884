"""A block of queries that sees no key has no work, so it returns before its store."""

import math

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("fresh_memory",)


def walk(work):
    if not any(work.visible(start).any() for start in work.starts):
        return torch.empty(work.q.shape), torch.empty(len(work.q))
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


attention = attention_of(walk)
