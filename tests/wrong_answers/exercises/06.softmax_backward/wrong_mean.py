"""Takes the plain mean of dp, not the mean weighted by p."""

LAYER = "values"


def answer(p, dp):
    return p * (dp - dp.mean(-1, keepdim=True))
