"""Asking for positions counts the tokens."""

LAYER = "contract"


class answer:
    def __init__(self, max_length):
        self.max_length, self.kept, self.position = max_length, 0, 0

    def positions(self, count):
        if self.kept + count > self.max_length:
            raise ValueError("no room")
        start, self.position = self.position, self.position + count
        return start, self.position

    def advance(self, count):
        self.kept += count

    def truncate(self, length):
        if not 0 <= length <= self.kept:
            raise ValueError("not kept")
        self.kept = self.position = length

    def reset(self):
        self.truncate(0)
