"""Writes the wrong guess before it stops."""

LAYER = "values"


def answer(drafts, chosen):
    for i, guess in enumerate(drafts):
        if guess != chosen[i]:
            return drafts[: i + 1]
    return list(chosen)
