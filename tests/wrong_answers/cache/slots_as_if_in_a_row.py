"""A text is read as if its blocks lay one behind the other: into another text's."""

FILE = "minillm/cache/block_table.py"
OLD = "        first = self.block_ids[index] * size - index * size\n"
NEW = "        first = self.block_ids[0] * size\n"
CAUGHT_BY = ("slots_follow_the_blocks", "random_lives_with_a_hash_chain", "random_lives_with_a_tree")
