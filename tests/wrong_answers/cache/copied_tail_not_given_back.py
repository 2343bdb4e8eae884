"""The block that was copied keeps a reference of nobody."""

FILE = "minillm/cache/block_table.py"
OLD = "            self.pool.free([self.block_ids.pop()])\n"
NEW = "            self.block_ids.pop()\n"
CAUGHT_BY = (
    "a_shared_tail_is_copied_before_it_is_written",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
