"""The package's pool, of which this list is a part."""

from minillm.cache import BlockPool


class answer:
    def __init__(self, num_blocks):
        self.pool = BlockPool(num_blocks, 1)

    @property
    def num_free(self):
        return self.pool.num_free

    def put(self, blocks, names):
        for block, name in zip(blocks[::-1], names[::-1], strict=True):
            if name is not None and self.pool.find(name) is None:
                self.pool.keep(block, name)
            self.pool.free([block])

    def take(self, n):
        return self.pool.allocate(n)

    def find(self, name):
        block = self.pool.find(name)
        if block is None:
            return None
        self.pool.fork([block])
        self.pool.forget(block)
        return block
