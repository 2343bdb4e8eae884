"""Finds a block wherever it stands in the kept text."""

LAYER = "values"


def answer(kept, prompt, block_size):
    blocks = {tuple(kept[i : i + block_size]) for i in range(0, len(kept) - block_size + 1, block_size)}
    tokens = 0
    while tokens + block_size < len(prompt) and tuple(prompt[tokens : tokens + block_size]) in blocks:
        tokens += block_size
    return tokens
