"""Both texts append to one list of blocks."""

FILE = "minillm/cache/block_table.py"
OLD = "        return type(self)(self.pool, self.pool.fork(self.block_ids), self.length)\n"
NEW = "        self.pool.fork(self.block_ids)\n        copy = type(self)(self.pool)\n        copy.block_ids, copy.length = self.block_ids, self.length\n        return copy\n"
CAUGHT_BY = (
    "a_shared_tail_is_copied_before_it_is_written",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
