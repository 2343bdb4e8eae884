"""Begins anew with every reset, in a memory one larger."""

LAYER = "values"


class answer:
    def __init__(self, room):
        self.room, self.kept = room, 0

    def positions(self, count):
        if self.kept + count > self.room:
            raise ValueError(f"{self.room} places; {self.kept} are taken and {count} asked for")
        return self.kept, self.kept + count

    def advance(self, count):
        self.kept += count

    def truncate(self, length):
        if not 0 <= length <= self.kept:
            raise ValueError(f"{self.kept} tokens are kept; got {length}")
        self.kept = length

    def reset(self):
        self.__init__(self.room + 1)
