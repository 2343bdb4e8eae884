"""Blocks without a name wait in the same queue as the others."""

from collections import OrderedDict

LAYER = "values"


class answer:
    def __init__(self, num_blocks):
        self.queue = OrderedDict((("block", block), block) for block in range(num_blocks))

    @property
    def num_free(self):
        return len(self.queue)

    def put(self, blocks, names):
        for block, name in reversed(list(zip(blocks, names, strict=True))):
            key = ("block", block) if name is None or ("name", name) in self.queue else ("name", name)
            self.queue[key] = block

    def take(self, n):
        if n > len(self.queue):
            raise ValueError(f"{len(self.queue)} blocks are free; got {n}")
        return [self.queue.popitem(last=False)[1] for _ in range(n)]

    def find(self, name):
        return self.queue.pop(("name", name), None)
