"""The patient as it came."""

import torch

LAYER = "values"


def answer(scores, values, tile):
    m, l, acc = torch.tensor(0.0, dtype=scores.dtype), 0.0, 0.0
    for i in range(len(scores) // tile):
        part = slice(i * tile, (i + 1) * tile)
        m_new = torch.maximum(m, scores[part].max())
        p = torch.exp(scores[part] - m_new)
        l = l * torch.exp(m - m_new) + p.sum()
        acc = acc + p @ values[part]
        m = m_new
    return acc / l
