"""Leaves a whole block for the model, where a token is enough."""

LAYER = "values"


def answer(kept, prompt, block_size):
    alike = 0
    while alike < min(len(kept), len(prompt) - block_size) and kept[alike] == prompt[alike]:
        alike += 1
    return alike // block_size * block_size
