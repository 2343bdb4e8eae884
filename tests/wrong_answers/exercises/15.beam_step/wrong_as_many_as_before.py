"""As many beams as there were, whatever was asked for."""

LAYER = "contract"


def answer(scores, logprobs, width):
    best, place = (scores[:, None] + logprobs).flatten().sort(descending=True, stable=True)
    place = place[: len(scores)]
    return place // logprobs.shape[1], place % logprobs.shape[1], best[: len(scores)].clone()
