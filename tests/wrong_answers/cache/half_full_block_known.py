"""The half-full last block is kept under the few tokens it holds, and then written on."""

FILE = "minillm/cache/prefix.py"
OLD = "        full = len(data) // TOKEN_BYTES // self.pool.block_size\n"
NEW = "        full = -(-len(data) // TOKEN_BYTES // self.pool.block_size)\n"
CAUGHT_BY = ("only_full_blocks_are_known", "random_lives_with_a_hash_chain", "random_lives_with_a_tree")
