"""Puts zeros where it fetched what is nobody's, and keeps them."""

import torch

LAYER = "values"


def answer(cache, block_table, seq_lens):
    P, texts = cache.shape[1], []
    for row, length in zip(block_table, seq_lens.tolist(), strict=True):
        pages = cache[row[: -(-length // P)]].flatten(0, 1).nan_to_num(0.0)
        texts.append(pages[-length:] if length else pages[:0])
    return torch.cat(texts)
