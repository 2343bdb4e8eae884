"""Leaves the bounds to torch, which drops a token that lies past the end."""

LAYER = "values"


def answer(memory, lengths, chunk, counts):
    stops = [length + count for length, count in zip(lengths, counts, strict=True)]
    if any(stop > memory.shape[1] + 1 for stop in stops):
        raise ValueError("no room")
    for row, (start, stop) in enumerate(zip(lengths, stops, strict=True)):
        memory[row, start:stop] = chunk[row, : stop - start]
    return [memory[row, :stop] for row, stop in enumerate(stops)]
