"""Leaves runs without keys out."""

LAYER = "values"


def answer(seq_len, num_splits, block_s):
    tiles = -(-seq_len // block_s)
    length = -(-tiles // num_splits) * block_s
    return [(s, min(s + length, seq_len)) for s in range(0, seq_len, length or 1)] or [(0, 0)] * num_splits
