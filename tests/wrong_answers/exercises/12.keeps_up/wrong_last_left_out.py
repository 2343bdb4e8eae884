"""The largest size is never tried."""

LAYER = "values"


def answer(rate, fixed_us, row_us, most):
    for size in range(1, most):
        if size * 1_000_000 >= rate * (fixed_us + size * row_us):
            return size
    return 0
