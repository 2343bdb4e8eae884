"""A kept block is lent again and the tree never hears of it."""

FILE = "minillm/cache/block_pool.py"
OLD = "        for tell in self.on_reuse:\n"
NEW = "        for tell in ():\n"
CAUGHT_BY = (
    "the_least_recently_used_is_lost_first",
    "a_block_lent_again_is_no_longer_found",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
