"""One number for one fact."""


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
        if not 0 <= length <= self.kept:
            raise ValueError("not kept")
        self.kept = length

    def reset(self):
        self.truncate(0)
