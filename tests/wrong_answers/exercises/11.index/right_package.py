"""The package's own cache, on a pool that is large enough."""

from itertools import takewhile

from minillm.cache.prefix import as_bytes, block_digests


class answer:
    def __init__(self, block_size):
        self.size, self.salts = block_size, {}
        self.names, self.blocks = {}, {}

    def insert(self, token_ids, block_ids, salt=None):
        for block, (digest, *_) in zip(
            block_ids, self.chain(token_ids, len(token_ids) // self.size, salt), strict=False
        ):
            if digest not in self.names:
                self.names[digest], self.blocks[block] = block, digest

    def match(self, token_ids, salt=None):
        digests = (digest for digest, *_ in self.chain(token_ids, (len(token_ids) - 1) // self.size, salt))
        return [self.names[digest] for digest in takewhile(self.names.__contains__, digests)]

    def forget(self, block_id):
        if block_id in self.blocks:
            del self.names[self.blocks.pop(block_id)]

    def chain(self, token_ids, count, salt):
        return block_digests(as_bytes(token_ids), count, self.size, salt)
