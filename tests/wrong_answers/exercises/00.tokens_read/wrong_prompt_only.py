"""Forgets that the text grows."""

LAYER = "values"


def answer(prompt, new):
    return prompt * new
