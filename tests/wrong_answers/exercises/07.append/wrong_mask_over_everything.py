"""Chooses between old and new for the whole memory, with one `where`."""

import torch

LAYER = "resources"


def answer(memory, lengths, chunk, counts):
    if max(n + m for n, m in zip(lengths, counts, strict=True)) > memory.shape[1]:
        raise ValueError("no room")
    start = torch.tensor(lengths)[:, None]
    token = torch.arange(memory.shape[1]) - start
    new = (token >= 0) & (token < torch.tensor(counts)[:, None])
    token = token.clamp(0, chunk.shape[1] - 1)[:, :, None, None].expand_as(memory)
    memory.copy_(torch.where(new[:, :, None, None], chunk.gather(1, token), memory))
    return [memory[row, : n + m] for row, (n, m) in enumerate(zip(lengths, counts, strict=True))]
