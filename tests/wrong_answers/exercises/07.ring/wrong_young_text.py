"""Wraps below zero while the text is young."""

LAYER = "values"


def answer(query, seen, slots, window):
    oldest = query - window + 1
    if oldest < seen - slots:
        raise ValueError("overwritten")
    return [position % slots for position in range(oldest, query + 1)]
