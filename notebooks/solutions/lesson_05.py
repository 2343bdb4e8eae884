"""Right answers to lesson 05, by the id of their check. Each can stand in for the lesson's stub."""

import math

import torch

from minillm.measure.chip import load, on_chip, store


def visited(q_tile, L, S, block_l, block_s, window=None):
    first = q_tile * block_l + S - L
    last = min((q_tile + 1) * block_l, L) - 1 + S - L
    oldest = 0 if window is None else max(0, first - window + 1)
    visits = []
    for start in range(oldest // block_s * block_s, min(last + 1, S), block_s):
        cut_right = start + block_s - 1 > first
        cut_left = window is not None and start < last - window + 1
        visits.append((start, cut_right or cut_left))
    return visits


def one_tile(acc, l, m, s, v):
    m_new = torch.maximum(m, s.amax(1))
    m_safe = torch.where(m_new == -math.inf, 0.0, m_new)
    p = torch.exp(s - m_safe[:, None])
    alpha = torch.exp(m - m_safe)
    return acc * alpha[:, None] + p @ v, l * alpha + p.sum(1), m_new


def flash_block(q, k, v, out, position, causal, block_s):
    """One block of queries of one head; its first row stands at `position` among the keys."""
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
        acc, l, m = one_tile(acc, l, m, s, load(v[tile]).to(state))
    store(out, acc / torch.where(l == 0, 1.0, l)[:, None])


def flash(q, k, v, causal=False, block_l=64, block_s=64):
    (B, L, H, _), (S, G) = q.shape, k.shape[1:3]
    out = torch.empty_like(q)
    for b in range(B):
        for h in range(H):
            g = h // (H // G)
            for start in range(0, L, block_l):
                rows = slice(start, start + block_l)
                with on_chip():
                    flash_block(q[b, rows, h], k[b, :, g], v[b, :, g], out[b, rows, h], start + S - L, causal, block_s)
    return out


def symptom(fault):
    q, v = torch.ones(1, 1), torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    scores = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    if fault == "low start":
        scores = scores - 2e9
    if fault == "zero sum":
        return torch.ones(6, 1), scores, v, 2, True
    return q, scores, v, 2, False


def mended(q, k, v, tile, causal=False):
    (L, D), S = q.shape, len(k)
    m = q.new_full((L, 1), -math.inf)
    l, acc = q.new_zeros(L, 1), q.new_zeros(L, v.shape[1])
    for start in range(0, S, tile):
        keys = torch.arange(start, min(start + tile, S))
        s = q @ k[keys].T / math.sqrt(D)
        if causal:
            s = s.masked_fill(keys > torch.arange(L)[:, None] + S - L, -math.inf)
        m_new = torch.maximum(m, s.amax(1, keepdim=True))
        m_safe = torch.where(m_new == -math.inf, 0.0, m_new)
        p, alpha = torch.exp(s - m_safe), torch.exp(m - m_safe)
        l = l * alpha + p.sum(1, keepdim=True)
        acc = acc * alpha + p @ v[keys]
        m = m_new
    return acc / torch.where(l == 0, 1.0, l)


SOLUTIONS = {
    "05.tiles": visited,
    "05.rescale": one_tile,
    "05.flash": flash,
    "05.symptoms": symptom,
    "05.clinic": mended,
}
