"""Walks over the pages, which a very long text has too many of."""

LAYER = "resources"


def answer(lengths, block_size):
    left = 0
    for length in lengths:
        while length > 0:
            length -= block_size
        left -= length
    return left
