"""Truncating forgets the blocks and never gives them back."""

FILE = "minillm/cache/block_table.py"
OLD = "        self.pool.free(self.block_ids[blocks:])\n"
NEW = ""
CAUGHT_BY = ("a_table_has_the_blocks_it_needs", "random_lives_with_a_hash_chain", "random_lives_with_a_tree")
