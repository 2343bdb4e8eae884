"""Takes the largest batch, if that is enough."""

LAYER = "values"


def answer(rate, fixed_us, row_us, most):
    return most if most * 1_000_000 >= rate * (fixed_us + most * row_us) else 0
