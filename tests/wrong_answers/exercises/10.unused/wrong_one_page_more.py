"""Adds a page to a text that ends with a full one."""

LAYER = "values"


def answer(lengths, block_size):
    return sum((length // block_size + 1) * block_size - length for length in lengths)
