"""A block that two texts share counts one reference."""

FILE = "minillm/cache/block_pool.py"
OLD = "            self._ref_counts[block] += 1\n"
NEW = "            self._ref_counts[block] = 1\n"
CAUGHT_BY = (
    "nobody_is_lent_a_block_in_use",
    "a_shared_tail_is_copied_before_it_is_written",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
