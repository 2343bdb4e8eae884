"""Pads every text to the longest, and picks the tokens afterwards."""

import torch

LAYER = "resources"


def answer(cache, block_table, seq_lens):
    P = cache.shape[1]
    pages = -(-seq_lens // P)
    table = block_table[:, : int(pages.max())].long()
    own = torch.arange(table.shape[1]) < pages[:, None]
    rows = cache[torch.where(own, table, 0)].flatten(1, 2)
    return rows[torch.arange(rows.shape[1]) < seq_lens[:, None]]
