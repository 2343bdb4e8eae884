"""A block is lent and nobody counts it: it is in use and looks free."""

FILE = "minillm/cache/block_pool.py"
OLD = "            self._ref_counts[block] = 1\n"
NEW = "            self._ref_counts[block] = 0\n"
CAUGHT_BY = (
    "a_block_is_lent_with_one_reference",
    "nobody_is_lent_a_block_in_use",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
