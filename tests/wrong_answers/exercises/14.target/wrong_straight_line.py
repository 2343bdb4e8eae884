"""Takes time for a straight line through two of its points."""

LAYER = "values"


def answer(seconds, writing, most, promised):
    if not writing:
        return most
    low = min(writing + 1, most)
    a, b = seconds(low), seconds(most)
    if b <= promised or low == most:
        return most
    return max(low, min(most, low + int((promised - a) / (b - a) * (most - low))))
