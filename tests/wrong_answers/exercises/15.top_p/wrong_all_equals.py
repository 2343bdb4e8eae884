"""Keeps every token as good as the last one kept."""

LAYER = "values"


def answer(probabilities, p):
    best, _ = probabilities.sort(descending=True, stable=True)
    needed = best[(best.cumsum(-1) - best < p)]
    least = needed[-1] if len(needed) else best[0]
    return probabilities >= (0 if p >= 1 else least)
