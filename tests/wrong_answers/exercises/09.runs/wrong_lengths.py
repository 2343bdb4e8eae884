"""Starts only."""

LAYER = "contract"


def answer(seq_len, num_splits, block_s):
    tiles = -(-seq_len // block_s)
    length = -(-tiles // num_splits) * block_s
    return [min(i * length, seq_len) for i in range(num_splits)]
