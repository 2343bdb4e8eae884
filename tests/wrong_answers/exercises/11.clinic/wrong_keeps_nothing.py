"""Right answers, by a cache that keeps nothing."""

LAYER = "resources"


class answer:
    def __init__(self, model, block_size):
        self.model = model

    def answer(self, tokens, salt=None):
        return self.model([], tokens)[1]
