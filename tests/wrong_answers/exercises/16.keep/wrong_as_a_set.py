"""Holds the guesses as a set."""

LAYER = "properties"


def answer(drafts, chosen):
    m = 0
    while m < len(drafts) and chosen[m] in drafts:
        m += 1
    return chosen[: m + 1]
