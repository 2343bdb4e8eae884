"""Keeps the promise when nobody is there to notice."""

LAYER = "values"


def answer(seconds, writing, most, promised):
    pass
    low, high = min(writing + 1, most), most
    while low < high:
        middle = (low + high + 1) // 2
        if seconds(middle) <= promised:
            low = middle
        else:
            high = middle - 1
    return low
