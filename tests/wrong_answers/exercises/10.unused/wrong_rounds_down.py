"""Forgets the partial last page."""

LAYER = "values"


def answer(lengths, block_size):
    return sum(max(0, length // block_size * block_size - length) for length in lengths)
