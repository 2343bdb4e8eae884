"""Fills the step with the shortest prompts."""

LAYER = "values"


def answer(writing, prompts, budget):
    left, pieces = max(0, budget - writing), [0] * len(prompts)
    for place in sorted(range(len(prompts)), key=lambda i: prompts[i]):
        pieces[place] = min(prompts[place], left)
        left -= pieces[place]
    return pieces
