"""Writes in place and hands back copies."""

LAYER = "resources"


def answer(memory, lengths, chunk, counts):
    if max(n + m for n, m in zip(lengths, counts, strict=True)) > memory.shape[1]:
        raise ValueError("no room")
    for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        memory[row, length : length + count] = chunk[row, :count]
    return [memory[row, : n + m].clone() for row, (n, m) in enumerate(zip(lengths, counts, strict=True))]
