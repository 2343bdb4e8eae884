"""The cap comes after the mask: tanh(-inf) is -1, so a hidden key comes back with a score of -softcap."""

import math

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("hidden_under_a_cap",)


def walk(work):
    m, l, acc = work.begin()
    for start in work.starts:
        s = work.q.float() @ work.tile(work.k, start).T * work.scale
        s = s.masked_fill(~work.visible(start), -math.inf)
        if work.softcap:
            s = work.softcap * torch.tanh(s / work.softcap)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


attention = attention_of(walk)
