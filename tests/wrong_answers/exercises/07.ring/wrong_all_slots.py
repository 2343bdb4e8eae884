"""Shows every slot that is filled."""

LAYER = "values"


def answer(query, seen, slots, window):
    oldest = max(0, query - window + 1)
    if oldest < seen - slots:
        raise ValueError("overwritten")
    return list(range(min(seen, slots)))
