"""A block is lent again, and its key still leads to it."""

FILE = "minillm/cache/block_pool.py"
OLD = "        del self._block_of[self._key_of.pop(block)]\n"
NEW = "        del self._key_of[block]\n"
CAUGHT_BY = (
    "plain_blocks_are_lent_before_kept_ones",
    "a_block_lent_again_is_no_longer_found",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
