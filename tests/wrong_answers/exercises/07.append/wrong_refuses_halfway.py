"""Refuses a row when it comes to it, with the rows before it written."""

LAYER = "values"


def answer(memory, lengths, chunk, counts):
    views = []
    for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        if length + count > memory.shape[1]:
            raise ValueError("no room")
        memory[row, length : length + count] = chunk[row, :count]
        views.append(memory[row, : length + count])
    return views
