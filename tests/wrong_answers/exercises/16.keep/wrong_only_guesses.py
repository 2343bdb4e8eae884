"""Keeps right guesses and forgets the target's own token."""

LAYER = "values"


def answer(drafts, chosen):
    written = []
    for guess, token in zip(drafts, chosen, strict=False):
        if guess != token:
            break
        written.append(token)
    return written or chosen[:1]
