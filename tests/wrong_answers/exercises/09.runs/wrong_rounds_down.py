"""Tiles a run rounds down, and the last keys belong to nobody."""

LAYER = "values"


def answer(seq_len, num_splits, block_s):
    length = -(-seq_len // block_s) // num_splits * block_s
    return [(min(i * length, seq_len), min((i + 1) * length, seq_len)) for i in range(num_splits)]
