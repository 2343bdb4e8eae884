"""Leaves two blocks to the model, where a token is enough."""

LAYER = "resources"


class answer:
    def __init__(self, model, block_size):
        self.model, self.P, self.kept = model, block_size, {}

    def answer(self, tokens, salt=None):
        P, past, found = self.P, [], 0
        names = [(salt, *tokens[:end]) for end in range(P, len(tokens) + 1, P)]
        while found < (len(tokens) - 1) // P - 1 and names[found] in self.kept:
            past = past + self.kept[names[found]]
            found += 1
        rows, answer = self.model(past, tokens[found * P :])
        for i, name in enumerate(names[found:]):
            self.kept[name] = rows[i * P : (i + 1) * P]
        return answer
