"""The last tile is not masked past the end of the keys: its zeros score 0 and join the sum. Causal masks hide it."""

import math

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("ragged_end",)


def walk(work):
    m, l, acc = work.begin()
    for start in work.starts:
        s = work.scores(start)
        if work.causal or work.window is not None:
            s = s.masked_fill(~work.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


attention = attention_of(walk)
