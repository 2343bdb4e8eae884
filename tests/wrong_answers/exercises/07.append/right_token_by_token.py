"""Copies one token after another."""


def answer(memory, lengths, chunk, counts):
    for length, count in zip(lengths, counts, strict=True):
        if length + count > memory.shape[1]:
            raise ValueError("no room")
    views = []
    for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        for token in range(count):
            memory[row, length + token].copy_(chunk[row, token])
        views.append(memory[row].narrow(0, 0, length + count))
    return views
