"""Counts equal blocks behind a difference too."""

LAYER = "values"


def answer(kept, prompt, block_size):
    starts = range(0, min(len(kept), len(prompt) - 1) - block_size + 1, block_size)
    return sum(block_size for i in starts if kept[i : i + block_size] == prompt[i : i + block_size])
