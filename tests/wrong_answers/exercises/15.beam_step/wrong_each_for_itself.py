"""Each beam takes its own best token."""

import torch

LAYER = "values"


def answer(scores, logprobs, width):
    sums = scores[:, None] + logprobs
    best, tokens = sums.max(-1)
    order = best.sort(descending=True, stable=True).indices[:width]
    if len(order) < width:
        order = torch.arange(width) % len(scores)
    return order, tokens[order], best[order]
