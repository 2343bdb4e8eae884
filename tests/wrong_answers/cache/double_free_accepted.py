"""A block can be given back more often than it was taken."""

FILE = "minillm/cache/block_pool.py"
OLD = "            if not self._ref_counts[block]:\n                rule, numbers"
NEW = "            if self._ref_counts[block] < -9:\n                rule, numbers"
CAUGHT_BY = (
    "wrong_calls_change_nothing",
    "wrong_calls_of_a_table_change_nothing",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
