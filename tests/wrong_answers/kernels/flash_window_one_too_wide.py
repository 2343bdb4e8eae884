"""The window keeps the key `window` places back as well: >= where > belongs."""

import math
from dataclasses import replace

import torch
from blockwise import attention_of, finish, finite

CAUGHT_BY = ("window_counts_keys", "values")


def wider(work):
    """The same work with one key more in sight."""
    return work if work.window is None else replace(work, window=work.window + 1)


def walk(work):
    m, l, acc = work.begin()
    for start in work.starts:
        s = work.scores(start).masked_fill(~wider(work).visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


attention = attention_of(walk)
