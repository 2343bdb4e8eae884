"""A step that takes exactly as long is taken for late."""

LAYER = "values"


def answer(seconds, writing, most, promised):
    if not writing:
        return most
    low, high = min(writing + 1, most), most
    while low < high:
        middle = (low + high + 1) // 2
        if seconds(middle) < promised:
            low = middle
        else:
            high = middle - 1
    return low
