"""End to end over tokens, as dashboards like to."""

LAYER = "values"


def answer(arrival, token_times):
    n = len(token_times)
    if n == 1:
        return token_times[0] - arrival, None, None
    return (
        token_times[0] - arrival,
        (token_times[-1] - arrival) / n,
        max(token_times[i + 1] - token_times[i] for i in range(n - 1)),
    )
