"""Builds its dictionary anew at every proposal."""

LAYER = "resources"


class answer:
    def __init__(self, longest):
        self.longest, self.text = longest, []

    def extend(self, tokens):
        self.text += tokens

    def propose(self, k):
        text, after = self.text, {}
        for end in range(1, len(text)):
            for n in range(1, min(self.longest, end) + 1):
                after[tuple(text[end - n : end])] = end
        for n in range(min(self.longest, len(text)), 0, -1):
            place = after.get(tuple(text[-n:]))
            if place is not None:
                return text[place : place + k]
        return []
