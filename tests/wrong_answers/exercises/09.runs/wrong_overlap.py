"""A run begins with its neighbour's last tile."""

LAYER = "values"


def answer(seq_len, num_splits, block_s):
    tiles = -(-seq_len // block_s)
    length = -(-tiles // num_splits) * block_s
    starts = [max(0, i * length - (block_s if i else 0)) for i in range(num_splits)]
    return [(min(s, seq_len), min((i + 1) * length, seq_len)) for i, s in enumerate(starts)]
