"""Counts the new tokens in the caller's own list."""

LAYER = "contract"


def answer(memory, lengths, chunk, counts):
    if any(length + count > memory.shape[1] for length, count in zip(lengths, counts, strict=True)):
        raise ValueError("no room")
    for row, count in enumerate(counts):
        memory[row, lengths[row] : lengths[row] + count] = chunk[row, :count]
        lengths[row] += count
    return [memory[row, :length] for row, length in enumerate(lengths)]
