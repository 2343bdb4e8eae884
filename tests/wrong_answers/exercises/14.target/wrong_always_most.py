"""Reads prompts at once."""

LAYER = "values"


def answer(seconds, writing, most, promised):
    return most
