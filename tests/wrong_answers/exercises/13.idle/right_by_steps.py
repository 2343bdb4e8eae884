"""Plays every step."""


def answer(lengths, batch_size):
    idle = 0
    for i in range(0, len(lengths), batch_size):
        batch = list(lengths[i : i + batch_size])
        while any(batch):
            idle += batch.count(0)
            batch = [max(0, left - 1) for left in batch]
    return idle
