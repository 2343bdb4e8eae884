"""All leave, whether they fit or not."""

LAYER = "values"


def answer(waited, most, preferred, delay):
    if waited and waited[0] >= delay:
        return len(waited)
    return max([size for size in preferred if size <= len(waited)], default=0)
