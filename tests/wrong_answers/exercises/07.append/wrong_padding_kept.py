"""Writes the padding too."""

LAYER = "values"


def answer(memory, lengths, chunk, counts):
    if max(n + m for n, m in zip(lengths, counts, strict=True)) > memory.shape[1]:
        raise ValueError("no room")
    for row, length in enumerate(lengths):
        room = min(chunk.shape[1], memory.shape[1] - length)
        memory[row, length : length + room] = chunk[row, :room]
    return [memory[row, : n + m] for row, (n, m) in enumerate(zip(lengths, counts, strict=True))]
