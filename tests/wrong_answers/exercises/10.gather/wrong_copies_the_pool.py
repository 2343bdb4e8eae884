"""Widens the whole pool to fetch a few pages of it."""

import torch

LAYER = "resources"


def answer(cache, block_table, seq_lens):
    P, pool, texts = cache.shape[1], cache.double(), [cache[:0].flatten(0, 1)]
    for row, length in zip(block_table, seq_lens.tolist(), strict=True):
        texts.append(pool[row[: -(-length // P)]].flatten(0, 1)[:length].to(cache.dtype))
    return torch.cat(texts)
