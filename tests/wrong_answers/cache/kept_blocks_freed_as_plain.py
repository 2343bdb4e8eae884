"""A kept block is put among the plain ones, and lent again while its key leads to it."""

FILE = "minillm/cache/block_pool.py"
OLD = "(self._kept if block in self._key_of else self._plain)[block] = None"
NEW = "self._plain[block] = None"
CAUGHT_BY = (
    "plain_blocks_are_lent_before_kept_ones",
    "a_block_lent_again_is_no_longer_found",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
