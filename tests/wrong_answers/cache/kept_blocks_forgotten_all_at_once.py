"""Every kept block is forgotten as soon as one block is asked for."""

FILE = "minillm/cache/block_pool.py"
OLD = "        while len(plain) < count:\n"
NEW = "        while self._kept and count:\n"
CAUGHT_BY = (
    "plain_blocks_are_lent_before_kept_ones",
    "the_least_recently_used_is_lost_first",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
