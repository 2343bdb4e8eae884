"""Lays all rows end to end in single precision, so that a place depends on the rows before."""

import torch

LAYER = "properties"


def answer(probabilities, noises):
    B, V = probabilities.shape
    sums = probabilities.sum(-1)
    line = torch.cat([4096.0 * b + (probabilities[b] / sums[b]).cumsum(-1) for b in range(B)])
    tokens = []
    for b, noise in enumerate(noises):
        found = int(torch.searchsorted(line.double(), 4096.0 * b + min(noise, 1 - 2e-7), right=True))
        row = probabilities[b].nonzero()[:, 0]
        tokens.append(int(min(max(found - b * V, int(row[0])), int(row[-1]))))
    return tokens
