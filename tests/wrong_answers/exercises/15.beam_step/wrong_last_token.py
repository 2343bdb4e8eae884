"""Compares the last tokens only."""

LAYER = "values"


def answer(scores, logprobs, width):
    _, place = logprobs.flatten().sort(descending=True, stable=True)
    place = place[:width]
    parents, tokens = place // logprobs.shape[1], place % logprobs.shape[1]
    return parents, tokens, scores[parents] + logprobs[parents, tokens]
