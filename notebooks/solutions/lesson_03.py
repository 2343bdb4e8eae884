"""Right answers to lesson 03, by the id of their check. Each can stand in for the lesson's stub."""

import math

import torch


def softmax_bytes(rows, width, chip_bytes, element_bytes=4):
    row = width * element_bytes
    reads = 1 if row <= chip_bytes else 3
    return rows * (reads + 1) * row


def running(tiles):
    m, l = torch.tensor(-math.inf), torch.tensor(0.0)
    for tile in tiles:
        tile = tile.to(torch.promote_types(tile.dtype, torch.float32))
        m_new = torch.maximum(m, tile.max())
        m_safe = torch.where(m_new == -math.inf, 0.0, m_new)
        l = l * (m - m_safe).exp() + (tile - m_safe).exp().sum()
        m = m_new
    return m, l


def merge(out_a, lse_a, out_b, lse_b):
    m = torch.maximum(lse_a, lse_b)
    m = torch.where(m == -math.inf, 0.0, m)  # both parts empty
    a, b = (lse_a - m).exp(), (lse_b - m).exp()
    total = torch.where(a + b == 0, 1.0, a + b)
    out = (a / total)[:, None] * out_a + (b / total)[:, None] * out_b
    return out, m + torch.log(a + b)


def mended(scores, values, tile):
    m, l, acc = scores.new_tensor(-math.inf), scores.new_tensor(0.0), values.new_zeros(values.shape[1])
    for start in range(0, len(scores), tile):
        part = slice(start, start + tile)
        m_new = torch.maximum(m, scores[part].max())
        m_safe = torch.where(m_new == -math.inf, 0.0, m_new)
        p, shrink = torch.exp(scores[part] - m_safe), torch.exp(m - m_safe)
        l = l * shrink + p.sum()
        acc = acc * shrink + p @ values[part]
        m = m_new
    return acc / torch.where(l == 0, 1.0, l)


SOLUTIONS = {
    "03.bytes": softmax_bytes,
    "03.running": running,
    "03.merge": merge,
    "03.clinic": mended,
}
