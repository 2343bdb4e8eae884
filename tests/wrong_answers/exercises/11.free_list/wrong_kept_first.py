"""Spares the blocks without a name, and overwrites what could be found."""

from collections import OrderedDict

LAYER = "values"


class answer:
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
        return [self.named.popitem(last=False)[1] if self.named else self.plain.pop() for _ in range(n)]

    def find(self, name):
        return self.named.pop(name, None)
