"""The block used last is the first to be lost."""

FILE = "minillm/cache/block_pool.py"
OLD = "next(iter(self._kept))"
NEW = "next(reversed(self._kept))"
CAUGHT_BY = ("the_least_recently_used_is_lost_first", "random_lives_with_a_hash_chain", "random_lives_with_a_tree")
