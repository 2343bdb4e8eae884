"""Lets one call name a block twice."""

LAYER = "values"


class answer:
    def __init__(self, num_blocks, block_size):
        self.counts = [0] * num_blocks
        self.unused = list(range(num_blocks))

    @property
    def num_free(self):
        return len(self.unused)

    def allocate(self, n):
        if not 0 <= n <= self.num_free:
            raise ValueError("too many")
        ids = [self.unused.pop() for _ in range(n)]
        for block in ids:
            self.counts[block] = 1
        return ids

    def fork(self, ids):
        self.require_in_use(ids)
        for block in ids:
            self.counts[block] += 1
        return list(ids)

    def free(self, ids):
        self.require_in_use(ids)
        for block in ids:
            self.counts[block] -= 1
            if not self.counts[block]:
                self.unused.append(block)

    def require_in_use(self, ids):
        for block in ids:
            if not 0 <= block < len(self.counts) or not self.counts[block]:
                raise ValueError("not in use")
