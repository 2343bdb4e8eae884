"""Takes the token behind all guesses, whatever was rejected."""

LAYER = "values"


def answer(drafts, chosen):
    m = 0
    while m < len(drafts) and drafts[m] == chosen[m]:
        m += 1
    return [*drafts[:m], chosen[-1]]
