"""A text's copy uses its blocks and counts no reference."""

FILE = "minillm/cache/block_table.py"
OLD = "self.pool.fork(self.block_ids), self.length)"
NEW = "list(self.block_ids), self.length)"
CAUGHT_BY = (
    "a_shared_tail_is_copied_before_it_is_written",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
