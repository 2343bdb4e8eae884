"""Deals out a list of tiles."""


def answer(seq_len, num_splits, block_s):
    tiles = list(range(0, seq_len, block_s))
    each = (len(tiles) + num_splits - 1) // num_splits
    found = []
    for i in range(num_splits):
        mine = tiles[i * each : (i + 1) * each]
        found.append((mine[0], min(mine[-1] + block_s, seq_len)) if mine else (seq_len, seq_len))
    return found
