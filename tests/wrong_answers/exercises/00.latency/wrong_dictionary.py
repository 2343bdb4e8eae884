"""The right numbers in another wrapping."""

LAYER = "contract"


def answer(arrival, token_times):
    ttft, end_to_end = token_times[0] - arrival, token_times[-1] - arrival
    gaps = len(token_times) - 1
    return {"ttft": ttft, "tpot": (end_to_end - ttft) / gaps if gaps else None, "end_to_end": end_to_end}
