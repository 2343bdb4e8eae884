"""The output is shrunk after the new tile was added, so the new tile shrinks too."""

import math

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("rising_keys", "values")


def walk(work):
    m, l, acc = work.begin()
    for start in work.starts:
        s = work.scores(start).masked_fill(~work.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = (acc + p.to(work.v.dtype).float() @ work.tile(work.v, start)) * alpha[:, None]
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


attention = attention_of(walk)
