"""A truncate may bring back what a reset let go."""

LAYER = "values"


class answer:
    def __init__(self, max_length):
        self.max_length, self.kept = max_length, 0

    def positions(self, count):
        if self.kept + count > self.max_length:
            raise ValueError("no room")
        return self.kept, self.kept + count

    def advance(self, count):
        self.kept += count

    def truncate(self, length):
        self.kept = length

    def reset(self):
        self.truncate(0)
