"""One pass too many, at the end."""

LAYER = "values"


def answer(prompt, new):
    return sum(prompt + i for i in range(new + 1))
