"""The oldest leaves only after its delay."""

LAYER = "values"


def answer(waited, most, preferred, delay):
    n = min(len(waited), most)
    if n and waited[0] > delay:
        return n
    return max([size for size in preferred if size <= n], default=0)
