"""Nothing is subtracted before exp: the same answer until a score passes 88."""

import math

import torch
from blockwise import attention_of

CAUGHT_BY = ("large_logits",)


def walk(work):
    m, l, acc = work.begin()
    l = l * m.exp()
    for start in work.starts:
        p = work.scores(start).masked_fill(~work.visible(start), -math.inf).exp()
        acc = acc + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l + p.sum(1)
    return acc / torch.where(l == 0, 1.0, l)[:, None], l.log()


attention = attention_of(walk)
