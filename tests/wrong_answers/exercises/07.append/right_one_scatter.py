"""All rows at once, with lists of rows and places."""

import torch


def answer(memory, lengths, chunk, counts):
    places = [(row, n + i, i) for row, (n, m) in enumerate(zip(lengths, counts, strict=True)) for i in range(m)]
    if any(place >= memory.shape[1] for _, place, _ in places):
        raise ValueError("no room")
    if places:
        rows, slots, tokens = (torch.tensor(numbers) for numbers in zip(*places, strict=True))
        memory[rows, slots] = chunk[rows, tokens]
    return [row[: n + m] for row, n, m in zip(memory, lengths, counts, strict=True)]
