"""Each text waits for the longest of its batch."""


def answer(lengths, batch_size):
    def batch_of(i):
        start = i // batch_size * batch_size
        return lengths[start : start + batch_size]

    return sum(max(batch_of(i)) - length for i, length in enumerate(lengths))
