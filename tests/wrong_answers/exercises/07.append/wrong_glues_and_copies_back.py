"""Glues a new row, and copies it back into the memory."""

import torch

LAYER = "resources"


def answer(memory, lengths, chunk, counts):
    if max(n + m for n, m in zip(lengths, counts, strict=True)) > memory.shape[1]:
        raise ValueError("no room")
    views = []
    for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        memory[row, : length + count] = torch.cat([memory[row, :length], chunk[row, :count]])
        views.append(memory[row, : length + count])
    return views
