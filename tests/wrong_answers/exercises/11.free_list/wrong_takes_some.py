"""Takes what is there before it finds that there is not enough."""

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
        blocks = []
        for _ in range(n):
            if not self.num_free:
                raise ValueError("no block is free")
            blocks.append(self.plain.pop() if self.plain else self.named.popitem(last=False)[1])
        return blocks

    def find(self, name):
        return self.named.pop(name, None)
