"""A queue in which found blocks are only crossed out, and passed over later."""

from collections import deque


class answer:
    def __init__(self, num_blocks):
        self.plain, self.queue, self.of, self.tick = deque(range(num_blocks)), deque(), {}, 0

    @property
    def num_free(self):
        return len(self.plain) + len(self.of)

    def put(self, blocks, names):
        for block, name in zip(blocks[::-1], names[::-1], strict=True):
            if name is None or name in self.of:
                self.plain.append(block)
                continue
            self.tick += 1
            self.of[name] = block, self.tick
            self.queue.append((name, self.tick))

    def take(self, n):
        if n > self.num_free:
            raise ValueError(f"only {self.num_free} of {n} blocks are free")
        return [self.plain.popleft() if self.plain else self.oldest() for _ in range(n)]

    def oldest(self):
        while True:
            name, tick = self.queue.popleft()
            if name in self.of and self.of[name][1] == tick:
                return self.of.pop(name)[0]

    def find(self, name):
        return self.of.pop(name, (None, 0))[0]
