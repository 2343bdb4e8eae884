"""The window shortens the loop and is not masked: tiles that it cuts through are seen whole."""

import math
from dataclasses import replace

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("window_counts_keys", "values")


def walk(work):
    m, l, acc = work.begin()
    unmasked = replace(work, window=None)
    for start in work.starts:
        if not work.visible(start).any():
            continue
        s = work.scores(start).masked_fill(~unmasked.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


attention = attention_of(walk)
