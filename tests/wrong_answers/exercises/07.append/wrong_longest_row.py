"""Writes every row where the longest one stands."""

LAYER = "values"


def answer(memory, lengths, chunk, counts):
    if max(n + m for n, m in zip(lengths, counts, strict=True)) > memory.shape[1]:
        raise ValueError("no room")
    start = max(lengths)
    for row, count in enumerate(counts):
        memory[row, start : start + count] = chunk[row, :count]
    return [memory[row, : n + m] for row, (n, m) in enumerate(zip(lengths, counts, strict=True))]
