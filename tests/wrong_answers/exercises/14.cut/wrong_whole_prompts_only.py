"""Reads prompts whole or not at all."""

LAYER = "values"


def answer(writing, prompts, budget):
    left, pieces = max(0, budget - writing), []
    for prompt in prompts:
        pieces.append(prompt if prompt <= left else 0)
        left -= pieces[-1]
    return pieces
