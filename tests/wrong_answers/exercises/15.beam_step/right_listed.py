"""Python lists."""

import heapq

import torch


def answer(scores, logprobs, width):
    sums = scores.unsqueeze(-1) + logprobs
    every = ((-total, beam, token) for beam, row in enumerate(sums.tolist()) for token, total in enumerate(row))
    best = heapq.nsmallest(width, every)
    parents, tokens = torch.tensor([b for _, b, _ in best]), torch.tensor([t for _, _, t in best])
    return parents, tokens, sums[parents, tokens]
