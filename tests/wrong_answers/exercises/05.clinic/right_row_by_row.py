"""One query at a time."""

import math

import torch


def answer(q, k, v, tile, causal=False):
    out = torch.zeros_like(q[:, :1] * v[:1])
    for i, query in enumerate(q):
        last = i + len(k) - len(q) + 1 if causal else len(k)
        m, l, acc = -math.inf, 0.0, torch.zeros_like(v[0])
        for start in range(0, max(last, 0), tile):
            stop = min(start + tile, last)
            s = k[start:stop] @ query / math.sqrt(len(query))
            m_new = max(m, s.max().item())
            p, shrink = torch.exp(s - m_new), math.exp(m - m_new)
            l, acc, m = l * shrink + p.sum(), acc * shrink + p @ v[start:stop], m_new
        if last > 0:
            out[i] = acc / l
    return out
