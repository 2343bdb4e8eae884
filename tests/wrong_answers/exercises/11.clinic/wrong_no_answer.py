"""Returns the rows beside the answer."""

LAYER = "contract"


class answer:
    def __init__(self, model, block_size):
        self.model, self.P, self.kept = model, block_size, {}

    def answer(self, tokens, salt=None):
        P, past, found = self.P, [], 0
        names = [(salt, *tokens[:end]) for end in range(P, len(tokens) + 1, P)]
        while found < (len(tokens) - 1) // P and names[found] in self.kept:
            past = past + self.kept[names[found]]
            found += 1
        return self.model(past, tokens[found * P :])
