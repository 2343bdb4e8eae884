"""More writers than tokens make negative pieces."""

LAYER = "values"


def answer(writing, prompts, budget):
    left, pieces = budget - writing, []
    for prompt in prompts:
        pieces.append(min(prompt, left))
        left -= pieces[-1]
    return pieces
