"""A block named twice in one call loses two references."""

FILE = "minillm/cache/block_pool.py"
OLD = "        if len(blocks) > 1 and len(set(blocks)) < len(blocks):\n"
NEW = "        if len(blocks) < 0:\n"
CAUGHT_BY = (
    "wrong_calls_change_nothing",
    "wrong_calls_of_a_table_change_nothing",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
