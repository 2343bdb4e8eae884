"""Asks the model once a block."""

LAYER = "resources"


class answer:
    def __init__(self, model, block_size):
        self.model, self.P, self.kept = model, block_size, {}

    def answer(self, tokens, salt=None):
        P, past, answer = self.P, [], None
        for start in range(0, len(tokens), P):
            name = (salt, *tokens[: start + P])
            last = start + P >= len(tokens)
            if last or name not in self.kept:
                self.kept[name], answer = self.model(past, tokens[start : start + P])
            past = past + self.kept[name]
        return answer
