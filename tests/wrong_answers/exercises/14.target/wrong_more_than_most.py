"""Makes room for every writer, however large the step."""

LAYER = "contract"


def answer(seconds, writing, most, promised):
    if not writing:
        return most
    if writing >= most:
        return writing + 1
    low, high = writing + 1, most
    while low < high:
        middle = (low + high + 1) // 2
        if seconds(middle) <= promised:
            low = middle
        else:
            high = middle - 1
    return low
