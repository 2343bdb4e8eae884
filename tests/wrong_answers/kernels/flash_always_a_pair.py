"""Output and log-sum-exp come back together, whether or not both were asked for."""

import math

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("lse_on_request",)


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


def attention(q, k, v, *, return_lse=False, **options):
    return right(q, k, v, return_lse=True, **options)
