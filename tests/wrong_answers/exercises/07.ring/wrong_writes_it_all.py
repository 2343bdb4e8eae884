"""Writes every token that was ever seen, to look the positions up."""

LAYER = "properties"


def answer(query, seen, slots, window):
    ring = {}
    for position in range(seen):
        ring[position % slots] = position
    where = {position: slot for slot, position in ring.items()}
    wanted = range(max(0, query - window + 1), query + 1)
    if any(position not in where for position in wanted):
        raise ValueError("overwritten")
    return [where[position] for position in wanted]
