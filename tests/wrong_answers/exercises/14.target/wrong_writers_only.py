"""When not even one token of a prompt is in time, prompts wait for ever."""

LAYER = "values"


def answer(seconds, writing, most, promised):
    if not writing:
        return most
    low, high = max(1, min(writing, most)), most
    while low < high:
        middle = (low + high + 1) // 2
        if seconds(middle) <= promised:
            low = middle
        else:
            high = middle - 1
    return low
