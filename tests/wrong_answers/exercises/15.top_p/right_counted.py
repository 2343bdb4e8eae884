"""Counts how many are needed, in Python."""

import torch


def answer(probabilities, p):
    row, kept, mass = probabilities.tolist(), torch.zeros(len(probabilities), dtype=torch.bool), 0.0
    for token in sorted(range(len(row)), key=row.__getitem__, reverse=True):
        if kept.any() and mass >= p and p < 1:
            break
        kept[token] = True
        mass += row[token]
    return kept
