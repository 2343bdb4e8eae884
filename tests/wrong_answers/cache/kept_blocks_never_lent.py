"""Only plain blocks count as free, so a pool full of old texts takes no new one."""

FILE = "minillm/cache/block_pool.py"
OLD = "        if count > len(plain) + len(self._kept):\n"
NEW = "        if count > len(plain):\n"
CAUGHT_BY = (
    "plain_blocks_are_lent_before_kept_ones",
    "the_least_recently_used_is_lost_first",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
