"""One prompt a step."""

LAYER = "values"


def answer(writing, prompts, budget):
    return [min(prompts[0], max(0, budget - writing))] + [0] * (len(prompts) - 1) if prompts else []
