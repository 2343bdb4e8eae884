"""Counts a pass over the last token, which nobody reads."""

LAYER = "values"


def answer(prompt, new):
    return new * prompt + new * (new + 1) // 2
