"""Only a prompt that was asked to the letter is found."""

LAYER = "resources"


class answer:
    def __init__(self, model, block_size):
        self.model, self.answers = model, {}

    def answer(self, tokens, salt=None):
        key = (salt, *tokens)
        if key not in self.answers:
            self.answers[key] = self.model([], tokens)[1]
        return self.answers[key]
