"""Lets one text begin in the page where another ends."""

LAYER = "values"


def answer(lengths, block_size):
    return -sum(lengths) % block_size
