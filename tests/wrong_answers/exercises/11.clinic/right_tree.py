"""A tree of blocks for each salt."""


class answer:
    def __init__(self, model, block_size):
        self.model, self.P, self.roots = model, block_size, {}

    def answer(self, tokens, salt=None):
        P, past = self.P, []
        node = self.roots.setdefault(salt, {})
        while len(past) + P < len(tokens) and (step := node.get(tuple(tokens[len(past) : len(past) + P]))):
            rows, node = step
            past = past + rows
        rows, answer = self.model(past, tokens[len(past) :])
        for start in range(len(past), len(tokens) - P + 1, P):
            block, mine = tuple(tokens[start : start + P]), rows[start - len(past) : start - len(past) + P]
            node = node.setdefault(block, (mine, {}))[1]
        return answer
