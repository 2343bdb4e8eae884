"""Blocks that are pinned are counted as if requests could have them."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = "return self.pool.num_blocks - len({block for blocks in pinned for block in blocks})"
NEW = "return self.pool.num_blocks"
CAUGHT_BY = ("pinned_blocks_are_not_promised",)
