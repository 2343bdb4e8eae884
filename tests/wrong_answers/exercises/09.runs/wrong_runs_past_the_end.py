"""The last tile is counted whole."""

LAYER = "values"


def answer(seq_len, num_splits, block_s):
    tiles = -(-seq_len // block_s)
    length = -(-tiles // num_splits) * block_s
    return [(i * length, (i + 1) * length) for i in range(num_splits)]
