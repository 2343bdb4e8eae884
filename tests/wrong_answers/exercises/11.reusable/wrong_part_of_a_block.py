"""Counts tokens, not whole blocks."""

LAYER = "values"


def answer(kept, prompt, block_size):
    alike = 0
    while alike < min(len(kept), len(prompt) - 1) and kept[alike] == prompt[alike]:
        alike += 1
    return alike
