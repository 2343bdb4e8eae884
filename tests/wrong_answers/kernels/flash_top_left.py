"""The causal mask starts at the top left: query i sees keys 0..i, whatever the lengths."""

import math
from dataclasses import replace

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("bottom_right",)


def top_left(work):
    """The same work with its rows counted from the first query."""
    return replace(work, positions=work.positions - work.k.shape[0] + work.num_queries)


def walk(work):
    m, l, acc = work.begin()
    for start in work.starts:
        s = work.scores(start).masked_fill(~top_left(work).visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


attention = attention_of(walk)
