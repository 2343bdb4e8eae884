"""Believes all guesses."""

LAYER = "values"


def answer(drafts, chosen):
    return [*drafts, chosen[-1]]
