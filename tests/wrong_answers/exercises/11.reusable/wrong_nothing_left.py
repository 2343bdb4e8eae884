"""A prompt that is known to its end leaves the model nothing to see."""

LAYER = "values"


def answer(kept, prompt, block_size):
    alike = 0
    while alike < min(len(kept), len(prompt)) and kept[alike] == prompt[alike]:
        alike += 1
    return alike // block_size * block_size
