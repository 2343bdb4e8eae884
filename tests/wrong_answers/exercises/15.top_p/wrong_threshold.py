"""Keeps what is at least a share of the best: that is min-p."""

LAYER = "values"


def answer(probabilities, p):
    return probabilities >= probabilities.max() * (1 - p)
