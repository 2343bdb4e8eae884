"""Refuses the oldest position that the ring still holds."""

LAYER = "values"


def answer(query, seen, slots, window):
    oldest = max(0, query - window + 1)
    if oldest <= seen - slots:
        raise ValueError("overwritten")
    return [position % slots for position in range(oldest, query + 1)]
