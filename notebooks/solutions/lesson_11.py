"""Right answers to lesson 11, by the id of their check. Each can stand in for the lesson's stub."""

from collections import OrderedDict
from hashlib import sha256


def reusable(kept, prompt, block_size):
    alike = 0
    while alike < min(len(kept), len(prompt) - 1) and kept[alike] == prompt[alike]:
        alike += 1
    return alike // block_size * block_size


class Index:
    def __init__(self, block_size):
        self.block_size, self.block_of, self.name_of = block_size, {}, {}

    def names(self, token_ids, count, salt):
        parent, P = sha256(repr(salt).encode()).digest(), self.block_size
        for start in range(0, count * P, P):
            parent = sha256(parent + repr(token_ids[start : start + P]).encode()).digest()
            yield parent

    def insert(self, token_ids, block_ids, salt=None):
        full = len(token_ids) // self.block_size
        for block, name in zip(block_ids, self.names(token_ids, full, salt), strict=False):
            if name not in self.block_of:
                self.block_of[name], self.name_of[block] = block, name

    def match(self, token_ids, salt=None):
        found = []
        for name in self.names(token_ids, (len(token_ids) - 1) // self.block_size, salt):
            if name not in self.block_of:
                break
            found.append(self.block_of[name])
        return found

    def forget(self, block_id):
        self.block_of.pop(self.name_of.pop(block_id, None), None)


class FreeList:
    def __init__(self, num_blocks):
        self.plain, self.named = list(range(num_blocks)), OrderedDict()

    @property
    def num_free(self):
        return len(self.plain) + len(self.named)

    def put(self, blocks, names):
        for block, name in reversed(list(zip(blocks, names, strict=True))):
            if name is None or name in self.named:
                self.plain.append(block)
            else:
                self.named[name] = block

    def take(self, n):
        if n > self.num_free:
            raise ValueError(f"{self.num_free} blocks are free; got {n}")
        return [self.plain.pop() if self.plain else self.named.popitem(last=False)[1] for _ in range(n)]

    def find(self, name):
        return self.named.pop(name, None)


class Mended:
    def __init__(self, model, block_size):
        self.model, self.P, self.kept = model, block_size, {}

    def answer(self, tokens, salt=None):
        P, past, found = self.P, [], 0
        names = [(salt, *tokens[:end]) for end in range(P, len(tokens) + 1, P)]
        while found < (len(tokens) - 1) // P and names[found] in self.kept:
            past = past + self.kept[names[found]]
            found += 1
        rows, answer = self.model(past, tokens[found * P :])
        for i, name in enumerate(names[found:]):
            self.kept[name] = rows[i * P : (i + 1) * P]
        return answer


SOLUTIONS = {"11.reusable": reusable, "11.index": Index, "11.free_list": FreeList, "11.clinic": Mended}
