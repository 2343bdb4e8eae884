"""Counts the padding as kept."""

LAYER = "values"


def answer(memory, lengths, chunk, counts):
    if max(n + m for n, m in zip(lengths, counts, strict=True)) > memory.shape[1]:
        raise ValueError("no room")
    for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        memory[row, length : length + count] = chunk[row, :count]
    return [memory[row, : length + chunk.shape[1]] for row, length in enumerate(lengths)]
