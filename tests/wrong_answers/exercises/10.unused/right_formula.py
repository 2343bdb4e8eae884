"""Rounds up, and subtracts."""


def answer(lengths, block_size):
    return sum(-(-length // block_size) * block_size - length for length in lengths)
