"""One size for every machine."""

LAYER = "values"


def answer(seconds, writing, most, promised):
    return min(64, most)
