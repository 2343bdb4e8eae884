"""Hands out slots in the order of memory."""

LAYER = "values"


def answer(query, seen, slots, window):
    oldest = max(0, query - window + 1)
    if oldest < seen - slots:
        raise ValueError("overwritten")
    return sorted(position % slots for position in range(oldest, query + 1))
