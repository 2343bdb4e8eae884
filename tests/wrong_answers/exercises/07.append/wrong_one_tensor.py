"""Hands back one tensor, cut to the longest row."""

LAYER = "contract"


def answer(memory, lengths, chunk, counts):
    if max(n + m for n, m in zip(lengths, counts, strict=True)) > memory.shape[1]:
        raise ValueError("no room")
    for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        memory[row, length : length + count] = chunk[row, :count]
    return memory[:, : max(n + m for n, m in zip(lengths, counts, strict=True))]
