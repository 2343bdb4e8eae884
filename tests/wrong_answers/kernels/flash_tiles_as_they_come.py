"""Tiles are added in the order in which they happen to arrive, as atomic additions would."""

import math
import random

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("same_twice",)


def walk(work):
    m, l, acc = work.begin()
    for start in random.sample(work.starts, len(work.starts)):
        s = work.scores(start).masked_fill(~work.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


attention = attention_of(walk)
