"""Returns words."""

LAYER = "values"


def answer(lengths, block_size):
    return f"{sum(-length % block_size for length in lengths)} slots"
