"""A hash chain, and the package's own digests."""

from hashlib import sha256


class answer:
    def __init__(self, model, block_size):
        self.model, self.size, self.rows = model, block_size, {}

    def answer(self, tokens, salt=None):
        names = list(self.names(tokens, salt))
        known = []
        for name in names[: (len(tokens) - 1) // self.size]:
            if name not in self.rows:
                break
            known += self.rows[name]
        rows, answer = self.model(known, tokens[len(known) :])
        rows = known + rows
        for i, name in enumerate(names):
            self.rows.setdefault(name, rows[i * self.size : (i + 1) * self.size])
        return answer

    def names(self, tokens, salt):
        parent = sha256(repr(salt).encode()).digest()
        for start in range(0, len(tokens) // self.size * self.size, self.size):
            parent = sha256(parent + repr(tokens[start : start + self.size]).encode()).digest()
            yield parent
