"""Averages the runs."""

LAYER = "values"


def answer(outs, lses):
    return outs.mean(0), lses.logsumexp(0)
