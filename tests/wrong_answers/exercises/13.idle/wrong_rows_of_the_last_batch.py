"""Counts batch_size rows in the last batch, full or not."""

LAYER = "values"


def answer(lengths, batch_size):
    batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
    return sum(batch_size * max(batch) - sum(batch) for batch in batches)
