"""Keeps the list of positions, and counts it."""


class answer:
    def __init__(self, max_length):
        self.max_length, self.taken = max_length, []

    @property
    def kept(self):
        return len(self.taken)

    def positions(self, count):
        if count > self.max_length - len(self.taken):
            raise ValueError("no room")
        return len(self.taken), len(self.taken) + count

    def advance(self, count):
        self.taken += range(*self.positions(count))

    def truncate(self, length):
        if length < 0 or length > len(self.taken):
            raise ValueError("not kept")
        del self.taken[length:]

    def reset(self):
        self.taken.clear()
