"""Takes the server's clock for the request's."""

LAYER = "values"


def answer(arrival, token_times):
    ttft, end_to_end = token_times[0], token_times[-1]
    gaps = len(token_times) - 1
    return ttft, (end_to_end - ttft) / gaps if gaps else None, end_to_end
