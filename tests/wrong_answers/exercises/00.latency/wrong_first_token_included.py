"""The wait for the first token counts as writing."""

LAYER = "values"


def answer(arrival, token_times):
    ttft, end_to_end = token_times[0] - arrival, token_times[-1] - arrival
    tpot = end_to_end / len(token_times) if len(token_times) > 1 else None
    return ttft, tpot, end_to_end
