"""Gives the whole step to prompts."""

LAYER = "values"


def answer(writing, prompts, budget):
    left, pieces = budget, []
    for prompt in prompts:
        pieces.append(min(prompt, left))
        left -= pieces[-1]
    return pieces
