"""Counts the window in slots and forgets that it wraps."""

LAYER = "values"


def answer(query, seen, slots, window):
    oldest = max(0, query - window + 1)
    if oldest < seen - slots:
        raise ValueError("overwritten")
    slot = query % slots
    return list(range(max(0, slot - window + 1), slot + 1))
