"""Finds a free block by looking at one after the other."""

LAYER = "resources"


class answer:
    def __init__(self, num_blocks, block_size):
        self.counts, self.num_free = [0] * num_blocks, num_blocks

    def allocate(self, n):
        if not 0 <= n <= self.num_free:
            raise ValueError("too many")
        ids, block = [], -1
        for _ in range(n):
            block = self.counts.index(0, block + 1)
            self.counts[block] = 1
            ids.append(block)
        self.num_free -= n
        return ids

    def fork(self, ids):
        self.require_in_use(ids)
        for block in ids:
            self.counts[block] += 1
        return ids

    def free(self, ids):
        self.require_in_use(ids)
        for block in ids:
            self.counts[block] -= 1
            self.num_free += not self.counts[block]

    def require_in_use(self, ids):
        if len(set(ids)) < len(ids) or not all(0 <= b < len(self.counts) and self.counts[b] for b in ids):
            raise ValueError("not in use")
