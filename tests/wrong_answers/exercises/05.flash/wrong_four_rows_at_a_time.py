"""Takes four queries at a time, however long a block was asked for."""

import math

import torch

from minillm.measure.chip import load, on_chip, store

LAYER = "resources"


def attend_block(q, k, v, out, position, causal, block_s):
    (rows, D), S = q.shape, len(k)
    state = torch.promote_types(q.dtype, torch.float32)
    q_block = load(q).to(state) / math.sqrt(D)
    positions = torch.arange(position, position + rows)[:, None]
    acc, l = torch.zeros(rows, D, dtype=state), torch.zeros(rows, dtype=state)
    m = torch.full((rows,), -math.inf, dtype=state)
    for start in range(0, min(position + rows, S) if causal else S, block_s):
        tile = slice(start, min(start + block_s, S))
        s = q_block @ load(k[tile]).to(state).T
        if causal:
            s = s.masked_fill(torch.arange(start, tile.stop) > positions, -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        m_safe = torch.where(m_new == -math.inf, 0.0, m_new)
        p, alpha = torch.exp(s - m_safe[:, None]), torch.exp(m - m_safe)
        acc = acc * alpha[:, None] + p @ load(v[tile]).to(state)
        l = l * alpha + p.sum(1)
        m = m_new
    store(out, acc / torch.where(l == 0, 1.0, l)[:, None])


def answer(q, k, v, causal=False, block_l=64, block_s=64):
    (B, L, H, _), (S, G) = q.shape, k.shape[1:3]
    out = torch.empty_like(q)
    for b in range(B):
        for h in range(H):
            g = h // (H // G)
            for start in range(0, L, 4):
                rows = slice(start, min(start + 4, L))
                with on_chip():
                    attend_block(q[b, rows, h], k[b, :, g], v[b, :, g], out[b, rows, h], start + S - L, causal, block_s)
    return out
