"""Asks about every size."""

LAYER = "resources"


def answer(seconds, writing, most, promised):
    if not writing:
        return most
    tokens = min(writing + 1, most)
    while tokens < most and seconds(tokens + 1) <= promised:
        tokens += 1
    return tokens
