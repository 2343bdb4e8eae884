"""Believes that a text lies in one piece from its first page on."""

import torch

LAYER = "values"


def answer(cache, block_table, seq_lens):
    slots, P = cache.reshape(-1, *cache.shape[2:]), cache.shape[1]
    starts = [int(row[0]) * P if n else 0 for row, n in zip(block_table, seq_lens.tolist(), strict=True)]
    pieces = [slots[torch.arange(s, s + n) % len(slots)] for s, n in zip(starts, seq_lens.tolist(), strict=True)]
    return torch.cat(pieces)
