"""Returns all slots given out."""

LAYER = "values"


def answer(lengths, block_size):
    return sum(-(-length // block_size) * block_size for length in lengths)
