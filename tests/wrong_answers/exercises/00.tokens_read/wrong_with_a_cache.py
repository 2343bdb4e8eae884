"""What a cache reads, not the naive loop."""

LAYER = "values"


def answer(prompt, new):
    return prompt + new - 1
