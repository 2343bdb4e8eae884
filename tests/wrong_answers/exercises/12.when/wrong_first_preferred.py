"""Takes the smallest preferred size."""

LAYER = "values"


def answer(waited, most, preferred, delay):
    n = min(len(waited), most)
    if n and waited[0] >= delay:
        return n
    return min([size for size in preferred if size <= n], default=0)
