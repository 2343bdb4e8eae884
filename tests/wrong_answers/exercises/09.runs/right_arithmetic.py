"""A run's length in keys, cut off at the end."""


def answer(seq_len, num_splits, block_s):
    tiles = -(-seq_len // block_s)
    length = -(-tiles // num_splits) * block_s
    return [(min(i * length, seq_len), min((i + 1) * length, seq_len)) for i in range(num_splits)]
