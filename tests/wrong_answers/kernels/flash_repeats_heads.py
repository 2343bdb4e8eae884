"""Query head h reads key/value head h % G, as `repeat` lays them out, instead of h // (H / G)."""

import math

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("neighbours_share", "grouped_heads")


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


def attention(q, k, v, **options):
    copies = q.shape[2] // k.shape[2]
    return right(q, k.repeat(1, 1, copies, 1), v.repeat(1, 1, copies, 1), **options)
