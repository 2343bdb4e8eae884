"""Forgets that the window's edge cuts a tile."""

LAYER = "values"


def answer(q_tile, L, S, block_l, block_s, window=None):
    first = q_tile * block_l + S - L
    last = min((q_tile + 1) * block_l, L) - 1 + S - L
    oldest = 0 if window is None else max(0, first - window + 1)
    visits = []
    for start in range(oldest // block_s * block_s, min(last + 1, S), block_s):
        cut_right = start + block_s - 1 > first
        visits.append((start, cut_right))
    return visits
