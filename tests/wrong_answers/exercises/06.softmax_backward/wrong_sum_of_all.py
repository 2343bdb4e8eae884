"""One sum for the whole tensor."""

LAYER = "values"


def answer(p, dp):
    return p * (dp - (p * dp).sum())
