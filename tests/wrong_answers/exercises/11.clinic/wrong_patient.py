"""The patient itself."""

LAYER = "values"


class answer:
    def __init__(self, model, block_size):
        self.model, self.P, self.kept = model, block_size, {}

    def answer(self, tokens, salt=None):
        past, answer = [], "…"
        for start in range(0, len(tokens), self.P):
            block = tuple(tokens[start : start + self.P])
            if block not in self.kept:
                self.kept[block], answer = self.model(past, block)
            past = past + self.kept[block]
        return answer
