"""Deals out one token at a time."""

LAYER = "resources"


def answer(writing, prompts, budget):
    pieces = [0] * len(prompts)
    for _ in range(writing, budget):
        unread = [i for i, prompt in enumerate(prompts) if pieces[i] < prompt]
        if not unread:
            break
        pieces[unread[0]] += 1
    return pieces
