"""Walks back from the query, slot by slot."""


def answer(query, seen, slots, window):
    count = min(window, query + 1)
    if seen - 1 - (query - count + 1) >= slots:
        raise ValueError("overwritten")
    slot, found = query % slots, []
    for _ in range(count):
        found.append(slot)
        slot = slot - 1 if slot else slots - 1
    return found[::-1]
