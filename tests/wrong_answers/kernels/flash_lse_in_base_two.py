"""The loop works in base 2, and its log-sum-exp is returned as it comes."""

import math

import torch
from blockwise import attention_of, finite

CAUGHT_BY = ("natural_lse",)
LOG2_E = math.log2(math.e)


def walk(work):
    m, l, acc = work.begin()
    m = m * LOG2_E
    for start in work.starts:
        s = work.scores(start).mul(LOG2_E).masked_fill(~work.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp2(s - finite(m_new)[:, None])
        alpha = torch.exp2(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    l = torch.where(l == 0, 1.0, l)
    return acc / l[:, None], m + l.log2()


attention = attention_of(walk)
