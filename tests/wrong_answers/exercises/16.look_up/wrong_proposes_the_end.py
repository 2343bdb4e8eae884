"""Proposes the end it looked for, and then what follows."""

LAYER = "values"


class answer:
    def __init__(self, longest):
        self.longest, self.text, self.after = longest, [], {}

    def extend(self, tokens):
        for token in tokens:
            end = len(self.text)
            for n in range(1, min(self.longest, end) + 1):
                self.after[tuple(self.text[end - n :])] = end
            self.text.append(token)

    def propose(self, k):
        for n in range(min(self.longest, len(self.text)), 0, -1):
            place = self.after.get(tuple(self.text[-n:]))
            if place is not None:
                return self.text[place - n : place - n + k]
        return []
