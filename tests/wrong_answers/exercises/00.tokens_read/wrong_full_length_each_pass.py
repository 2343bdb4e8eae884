"""Every pass at the final length."""

LAYER = "values"


def answer(prompt, new):
    return new * (prompt + new - 1)
