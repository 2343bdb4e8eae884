"""Takes the newest token for the query."""

LAYER = "values"


def answer(query, seen, slots, window):
    oldest = max(0, query - window + 1)
    if oldest < seen - slots:
        raise ValueError("overwritten")
    return [position % slots for position in range(max(0, seen - window), seen)]
