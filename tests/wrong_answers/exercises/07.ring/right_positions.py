"""Positions first, then their slots."""


def answer(query, seen, slots, window):
    oldest = max(0, query - window + 1)
    if oldest < seen - slots:
        raise ValueError("overwritten")
    return [position % slots for position in range(oldest, query + 1)]
