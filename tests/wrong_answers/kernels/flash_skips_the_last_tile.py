"""The loop runs over whole tiles only: keys past the last multiple of the tile are never read."""

import math

import torch
from blockwise import BLOCK, attention_of, finish, finite

CAUGHT_BY = ("ragged_end", "none_and_one")


def walk(work):
    m, l, acc = work.begin()
    for start in range(0, work.k.shape[0] // BLOCK * BLOCK, BLOCK):
        s = work.scores(start).masked_fill(~work.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


attention = attention_of(walk)
