"""What is missing to the next multiple."""


def answer(lengths, block_size):
    return sum(-length % block_size for length in lengths)
