"""The delay is compared with all waits together."""

LAYER = "values"


def answer(waited, most, preferred, delay):
    n = min(len(waited), most)
    if sum(waited) >= delay:
        return n
    return max([size for size in preferred if size <= n], default=0)
