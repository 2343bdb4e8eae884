"""A list of pairs, searched from the front."""

LAYER = "resources"


class answer:
    def __init__(self, num_blocks):
        self.plain, self.named = list(range(num_blocks)), []

    @property
    def num_free(self):
        return len(self.plain) + len(self.named)

    def put(self, blocks, names):
        have = {name for _, name in self.named}
        for block, name in reversed(list(zip(blocks, names, strict=True))):
            if name is None or name in have:
                self.plain.append(block)
            else:
                have.add(name)
                self.named.append((block, name))

    def take(self, n):
        if n > self.num_free:
            raise ValueError(f"{self.num_free} blocks are free; got {n}")
        return [self.plain.pop() if self.plain else self.named.pop(0)[0] for _ in range(n)]

    def find(self, name):
        for i, (block, held) in enumerate(self.named):
            if held == name:
                del self.named[i]
                return block
        return None
