"""The user waits for the first token too."""

LAYER = "values"


def answer(arrival, token_times):
    ttft, writing = token_times[0] - arrival, token_times[-1] - token_times[0]
    gaps = len(token_times) - 1
    return ttft, writing / gaps if gaps else None, writing
