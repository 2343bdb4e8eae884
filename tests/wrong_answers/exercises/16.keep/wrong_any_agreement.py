"""Counts guesses that agree behind a wrong one."""

LAYER = "values"


def answer(drafts, chosen):
    return chosen[: sum(a == b for a, b in zip(drafts, chosen, strict=False)) + 1]
