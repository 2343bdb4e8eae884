"""Solves for the size, in whole numbers."""


def answer(rate, fixed_us, row_us, most):
    spare = 1_000_000 - rate * row_us  # microseconds of each second that rows leave to passes
    if spare <= 0:
        return 1 if spare == 0 and fixed_us == 0 else 0
    size = max(1, -(-rate * fixed_us // spare))
    return size if size <= most else 0
