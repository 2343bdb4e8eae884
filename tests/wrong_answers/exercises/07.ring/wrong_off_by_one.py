"""A window that does not count the query itself."""

LAYER = "values"


def answer(query, seen, slots, window):
    oldest = max(0, query - window)
    if oldest < seen - slots:
        raise ValueError("overwritten")
    return [position % slots for position in range(oldest, query + 1)]
