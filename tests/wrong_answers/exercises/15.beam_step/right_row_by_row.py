"""The best of each row first, then the best of those."""

import torch


def answer(scores, logprobs, width):
    sums = scores[:, None] + logprobs
    best, tokens = sums.sort(dim=-1, descending=True, stable=True)
    best, tokens = best[:, :width], tokens[:, :width]
    parents = torch.arange(len(scores))[:, None].expand_as(tokens)
    order = best.flatten().sort(descending=True, stable=True).indices[:width]
    return parents.flatten()[order], tokens.flatten()[order], best.flatten()[order]
