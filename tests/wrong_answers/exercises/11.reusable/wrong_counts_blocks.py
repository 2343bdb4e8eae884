"""Says how many blocks, where tokens were asked for."""

LAYER = "values"


def answer(kept, prompt, block_size):
    alike = 0
    while alike < min(len(kept), len(prompt) - 1) and kept[alike] == prompt[alike]:
        alike += 1
    return alike // block_size
