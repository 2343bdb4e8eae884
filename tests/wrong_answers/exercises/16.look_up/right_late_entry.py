"""Enters the ends of the text when the next token comes, a dictionary for each length."""


class answer:
    def __init__(self, longest):
        self.text, self.places = [], [{} for _ in range(longest)]

    def ends(self):
        for n, places in enumerate(self.places, start=1):
            if n <= len(self.text):
                yield places, tuple(self.text[-n:])

    def extend(self, tokens):
        for token in tokens:
            for places, end in self.ends():
                places[end] = len(self.text)
            self.text.append(token)

    def propose(self, k):
        found = [places[end] for places, end in self.ends() if end in places]
        return self.text[found[-1] :][:k] if found else []
