"""Gives the scores of before."""

LAYER = "values"


def answer(scores, logprobs, width):
    _, place = (scores[:, None] + logprobs).flatten().sort(descending=True, stable=True)
    place = place[:width]
    parents = place // logprobs.shape[1]
    return parents, place % logprobs.shape[1], scores[parents]
