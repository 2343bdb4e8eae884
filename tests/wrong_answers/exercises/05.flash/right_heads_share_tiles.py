"""Lets the heads of a group walk together, so that each tile serves all of them."""

import math

import torch

from minillm.measure.chip import load, on_chip, store


def answer(q, k, v, causal=False, block_l=64, block_s=64):
    (B, L, H, D), (S, G) = q.shape, k.shape[1:3]
    R, wide, out = H // G, torch.promote_types(q.dtype, torch.float32), torch.empty_like(q)
    rows_each = max(1, block_l // R)
    for b, g in [(b, g) for b in range(B) for g in range(G)]:
        for start in range(0, L, rows_each):
            rows, heads = slice(start, min(start + rows_each, L)), slice(g * R, g * R + R)
            with on_chip():
                n = rows.stop - start
                block = load(q[b, rows, heads]).to(wide).reshape(n * R, D) / math.sqrt(D)
                at = (torch.arange(start, rows.stop) + S - L).repeat_interleave(R)[:, None]
                total = torch.zeros(n * R, D + 1, dtype=wide)
                m = torch.full((n * R, 1), -math.inf, dtype=wide)
                for first in range(0, min(max(rows.stop + S - L, 0), S) if causal else S, block_s):
                    keys = torch.arange(first, min(first + block_s, S))
                    tile = slice(first, first + len(keys))
                    s = block @ load(k[b, tile, g]).to(wide).T
                    s = torch.where(keys <= at, s, -math.inf) if causal else s
                    m_new = torch.maximum(m, s.amax(1, keepdim=True))
                    base = m_new.clamp(min=torch.finfo(wide).min)
                    ones = torch.ones(len(keys), 1, dtype=wide)
                    p = torch.exp(s - base)
                    total = total * torch.exp(m - base) + p @ torch.cat([load(v[b, tile, g]).to(wide), ones], 1)
                    m = m_new
                result = total[:, :D] / torch.where(total[:, D:] == 0, 1.0, total[:, D:])
                store(out[b, rows, heads], result.reshape(n, R, D))
    return out
