"""A hash chain, in both directions."""

from hashlib import sha256


class answer:
    def __init__(self, block_size):
        self.P, self.block_of, self.name_of = block_size, {}, {}

    def names(self, token_ids, count, salt):
        parent, P = sha256(repr(salt).encode()).digest(), self.P
        for start in range(0, count * P, P):
            parent = sha256(parent + repr(token_ids[start : start + P]).encode()).digest()
            yield parent

    def insert(self, token_ids, block_ids, salt=None):
        for block, name in zip(block_ids, self.names(token_ids, len(token_ids) // self.P, salt), strict=False):
            if name not in self.block_of:
                self.block_of[name], self.name_of[block] = block, name

    def match(self, token_ids, salt=None):
        found = []
        for name in self.names(token_ids, (len(token_ids) - 1) // self.P, salt):
            if name not in self.block_of:
                break
            found.append(self.block_of[name])
        return found

    def forget(self, block_id):
        self.block_of.pop(self.name_of.pop(block_id, None), None)
