"""Lets a window wider than the ring see what the ring still has."""

LAYER = "values"


def answer(query, seen, slots, window):
    oldest = max(0, query - min(window, slots) + 1)
    if oldest < seen - slots:
        raise ValueError("overwritten")
    return [position % slots for position in range(oldest, query + 1)]
