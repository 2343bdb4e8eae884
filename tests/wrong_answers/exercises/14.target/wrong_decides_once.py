"""Decides once for each number of writers, and does not notice that texts grow and steps with them."""

LAYER = "properties"
KNOWN = {}


def answer(seconds, writing, most, promised):
    key = (writing, most, promised)
    if key not in KNOWN:
        low, high = min(writing + 1, most), most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if seconds(middle) <= promised else (low, middle - 1)
        KNOWN[key] = low if writing else most
    return KNOWN[key]
