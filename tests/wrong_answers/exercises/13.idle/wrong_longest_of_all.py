"""Every batch runs as long as the longest text of all."""

LAYER = "values"


def answer(lengths, batch_size):
    return len(lengths) * max(lengths, default=0) - sum(lengths)
