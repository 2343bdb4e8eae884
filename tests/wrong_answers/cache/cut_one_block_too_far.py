"""Truncating rounds down, and frees the half-full block that is still read."""

FILE = "minillm/cache/block_table.py"
OLD = "        blocks = -(-length // self.pool.block_size)\n        self"
NEW = "        blocks = length // self.pool.block_size\n        self"
CAUGHT_BY = (
    "a_known_tail_is_forgotten_before_it_is_written",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
