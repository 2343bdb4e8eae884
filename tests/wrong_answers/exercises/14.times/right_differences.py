"""Gaps first, everything from them."""

from itertools import pairwise


def answer(arrival, token_times):
    gaps = [b - a for a, b in pairwise(token_times)]
    if not gaps:
        return token_times[0] - arrival, None, None
    return token_times[0] - arrival, sum(gaps) / len(gaps), max(gaps)
