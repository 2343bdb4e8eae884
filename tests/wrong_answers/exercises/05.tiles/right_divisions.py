"""Counts in tiles."""


def answer(q_tile, L, S, block_l, block_s, window=None):
    first, last = q_tile * block_l + S - L, min(q_tile * block_l + block_l, L) - 1 + S - L
    begin = 0 if window is None else max(0, (first - window + 1) // block_s)
    end = -(-min(max(last + 1, 0), S) // block_s)
    whole_from = 0 if window is None else max(0, -(-(last - window + 1) // block_s))
    whole_to = max(0, min(first + 1, S)) // block_s
    return [[i * block_s, not whole_from <= i < whole_to] for i in range(begin, end)]
