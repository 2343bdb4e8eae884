"""Starts at -1e9, so a row of -inf averages nothing and gives NaN."""

import torch

LAYER = "values"


def answer(scores, values, tile):
    m, l, acc = scores.new_tensor(-1e9), 0.0, 0.0
    for start in range(0, len(scores), tile):
        part = slice(start, start + tile)
        m_new = torch.maximum(m, scores[part].max())
        m_safe = m_new
        p, shrink = torch.exp(scores[part] - m_safe), torch.exp(m - m_safe)
        l = l * shrink + p.sum()
        acc = acc * shrink + p @ values[part]
        m = m_new
    return acc / l
