"""Counts the steps in which somebody idles, not the rows."""

LAYER = "values"


def answer(lengths, batch_size):
    batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
    return sum(max(batch) - min(batch) for batch in batches)
