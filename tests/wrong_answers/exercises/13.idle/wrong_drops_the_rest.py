"""Forgets the texts that fill no batch."""

LAYER = "values"


def answer(lengths, batch_size):
    full = len(lengths) // batch_size * batch_size
    batches = [lengths[i : i + batch_size] for i in range(0, full, batch_size)]
    return sum(len(batch) * max(batch) - sum(batch) for batch in batches)
