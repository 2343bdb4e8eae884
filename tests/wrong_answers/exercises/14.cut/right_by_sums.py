"""A piece is the growth of min(room, sum of the prompts so far)."""

from itertools import accumulate, pairwise


def answer(writing, prompts, budget):
    room = max(0, budget - writing)
    filled = [min(room, total) for total in accumulate(prompts, initial=0)]
    return tuple(b - a for a, b in pairwise(filled))
