"""Turns at the window and not at the ring."""

LAYER = "values"


def answer(query, seen, slots, window):
    oldest = max(0, query - window + 1)
    if oldest < seen - slots:
        raise ValueError("overwritten")
    return [position % window for position in range(oldest, query + 1)]
