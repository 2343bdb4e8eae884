"""Reads overwritten slots as if nothing had happened."""

LAYER = "values"


def answer(query, seen, slots, window):
    return [position % slots for position in range(max(0, query - window + 1), query + 1)]
