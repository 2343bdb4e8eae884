"""The page where a window begins is taken for one before it."""

FILE = "minillm/attention/paged_plan.py"
OLD = "        return text.block_ids[first_key(text, window) // self.block_size : -(-text.keys // self.block_size)]"
NEW = "        first = -(-first_key(text, window) // self.block_size)\n        return text.block_ids[min(first, (text.keys - 1) // self.block_size) : -(-text.keys // self.block_size)]"
CAUGHT_BY = ("small_tiles",)
