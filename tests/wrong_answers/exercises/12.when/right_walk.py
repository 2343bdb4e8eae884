"""Walks along the line, as a server would."""


def answer(waited, most, preferred, delay):
    best = 0
    for count, _ in enumerate(waited[:most], start=1):
        if count in preferred or waited[0] >= delay:
            best = count
    return best
