"""Goes through the text from its end, every time."""

LAYER = "resources"


class answer:
    def __init__(self, longest):
        self.longest, self.text = longest, []

    def extend(self, tokens):
        self.text += tokens

    def propose(self, k):
        text = self.text
        for n in range(min(self.longest, len(text) - 1), 0, -1):
            for start in range(len(text) - n - 1, -1, -1):
                if text[start : start + n] == text[-n:]:
                    return text[start + n : start + n + k]
        return []
