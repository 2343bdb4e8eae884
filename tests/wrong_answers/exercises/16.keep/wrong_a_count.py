"""Says how many are kept, not which."""

LAYER = "contract"


def answer(drafts, chosen):
    m = 0
    while m < len(drafts) and drafts[m] == chosen[m]:
        m += 1
    return m + 1
