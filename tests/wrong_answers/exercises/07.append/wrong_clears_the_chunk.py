"""Wipes the chunk once it is written."""

LAYER = "contract"


def answer(memory, lengths, chunk, counts):
    if any(length + count > memory.shape[1] for length, count in zip(lengths, counts, strict=True)):
        raise ValueError("no room")
    for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        memory[row, length : length + count] = chunk[row, :count]
    chunk.zero_()
    return [memory[row, : length + count] for row, (length, count) in enumerate(zip(lengths, counts, strict=True))]
