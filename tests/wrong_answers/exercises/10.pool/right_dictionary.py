"""Only blocks in use are written down, with their counts; new ones come from a queue."""


class answer:
    def __init__(self, num_blocks, block_size):
        self.num_blocks, self.fresh, self.back, self.used = num_blocks, 0, [], {}

    @property
    def num_free(self):
        return self.num_blocks - len(self.used)

    def allocate(self, n):
        if n < 0 or n > self.num_free:
            raise ValueError("too many")
        ids = [self.back.pop() for _ in range(min(n, len(self.back)))]
        ids += range(self.fresh, self.fresh + n - len(ids))
        self.fresh = max([self.fresh, *(block + 1 for block in ids)])
        self.used.update(dict.fromkeys(ids, 1))
        return ids

    def fork(self, ids):
        self.require(ids)
        self.used.update({block: self.used[block] + 1 for block in ids})
        return ids

    def free(self, ids):
        self.require(ids)
        for block in reversed(ids):
            self.used[block] -= 1
            if self.used[block] == 0:
                del self.used[block]
                self.back.append(block)

    def require(self, ids):
        if len({block for block in ids if block in self.used}) != len(ids):
            raise ValueError("not in use")
