"""The newest must be due."""

LAYER = "values"


def answer(waited, most, preferred, delay):
    n = min(len(waited), most)
    if n and waited[-1] >= delay:
        return n
    return max([size for size in preferred if size <= n], default=0)
