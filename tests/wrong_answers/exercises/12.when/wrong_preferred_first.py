"""A preferred size leaves the others behind though the oldest is due."""

LAYER = "values"


def answer(waited, most, preferred, delay):
    n = min(len(waited), most)
    best = max([size for size in preferred if size <= n], default=0)
    return best or (n if n and waited[0] >= delay else 0)
