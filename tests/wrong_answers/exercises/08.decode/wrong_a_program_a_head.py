"""One program a query head: each of a group fetches the same keys."""

import math

import torch

from minillm.measure.chip import load, on_chip, store

LAYER = "resources"


def answer(q, k, v, block_s=64):
    (B, H, D), G = q.shape, k.shape[2]
    state = torch.promote_types(q.dtype, torch.float32)
    out = torch.empty_like(q)
    for b in range(B):
        for h in range(H):
            g = h // (H // G)
            with on_chip():
                row = load(q[b, h]).to(state) / math.sqrt(D)
                acc, l, m = torch.zeros(D, dtype=state), 0.0, torch.tensor(-math.inf, dtype=state)
                for keys, values in zip(k[b, :, g].split(block_s), v[b, :, g].split(block_s), strict=True):
                    s = load(keys).to(state) @ row
                    m_new = torch.maximum(m, s.max())
                    p, alpha = torch.exp(s - m_new), torch.exp(m - m_new)
                    acc, l, m = acc * alpha + p @ load(values).to(state), l * alpha + p.sum(), m_new
                store(out[b, h], acc / l)
    return out
