"""Rows a second as a quotient of floats: exactly enough comes out as a little too few."""

LAYER = "values"


def answer(rate, fixed_us, row_us, most):
    for size in range(1, most + 1):
        if size / ((fixed_us + size * row_us) / 1_000_000) >= rate:
            return size
    return 0
