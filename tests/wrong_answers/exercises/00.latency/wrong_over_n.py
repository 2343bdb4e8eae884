"""Divides the time after the first token by all tokens."""

LAYER = "values"


def answer(arrival, token_times):
    ttft, end_to_end = token_times[0] - arrival, token_times[-1] - arrival
    tpot = (end_to_end - ttft) / len(token_times) if len(token_times) > 1 else None
    return ttft, tpot, end_to_end
