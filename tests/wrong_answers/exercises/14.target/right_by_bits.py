"""Adds powers of two while the step stays in time."""


def answer(seconds, writing, most, promised):
    if writing == 0:
        return most
    tokens = min(writing + 1, most)
    bit = 1 << most.bit_length()
    while bit:
        if tokens + bit <= most and seconds(tokens + bit) <= promised:
            tokens += bit
        bit //= 2
    return tokens
