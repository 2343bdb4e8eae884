"""How many leading tokens are equal, rounded down to whole blocks."""


def answer(kept, prompt, block_size):
    alike = 0
    for a, b in zip(kept, prompt[:-1], strict=False):
        if a != b:
            break
        alike += 1
    return alike - alike % block_size
