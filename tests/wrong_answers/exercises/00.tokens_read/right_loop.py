"""Pass by pass."""


def answer(prompt, new):
    total, length = 0, prompt
    for _ in range(new):
        total += length
        length += 1
    return total
