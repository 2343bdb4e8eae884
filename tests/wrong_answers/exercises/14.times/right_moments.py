"""First and last moment, and a walk for the longest."""


def answer(arrival, token_times):
    first, *rest = token_times
    longest, before = None, first
    for moment in rest:
        longest = moment - before if longest is None else max(longest, moment - before)
        before = moment
    return [first - arrival, (before - first) / len(rest) if rest else None, longest]
