"""Counts what the last page holds."""

LAYER = "values"


def answer(lengths, block_size):
    return sum(length % block_size for length in lengths)
