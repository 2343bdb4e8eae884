"""Returns the longest gap alone."""

LAYER = "values"


def answer(arrival, token_times):
    return max((b - token_times[i] for i, b in enumerate(token_times[1:])), default=None)
