"""A block that was handed out is still found by its old name."""

from collections import OrderedDict

LAYER = "values"


class answer:
    def __init__(self, num_blocks):
        self.plain, self.named, self.of = list(range(num_blocks)), OrderedDict(), {}

    @property
    def num_free(self):
        return len(self.plain) + len(self.named)

    def put(self, blocks, names):
        for block, name in reversed(list(zip(blocks, names, strict=True))):
            if name is None or name in self.named:
                self.plain.append(block)
            else:
                self.named[name] = self.of[name] = block

    def take(self, n):
        if n > self.num_free:
            raise ValueError(f"{self.num_free} blocks are free; got {n}")
        return [self.plain.pop() if self.plain else self.named.popitem(last=False)[1] for _ in range(n)]

    def find(self, name):
        self.named.pop(name, None)
        return self.of.pop(name, None)
