"""Block -1 is taken for the last one, as lists do."""

FILE = "minillm/cache/block_pool.py"
OLD = "not 0 <= block < self.num_blocks:"
NEW = "not block < self.num_blocks:"
CAUGHT_BY = ("random_lives_with_a_hash_chain", "random_lives_with_a_tree")
