"""A block that nobody owns and nothing is known of is given to a text as its beginning."""

FILE = "minillm/cache/block_pool.py"
OLD = "            if not self._ref_counts[block] and block not in self._kept:\n"
NEW = "            if not self._ref_counts[block] and self._plain.pop(block, self) is None:\n                self._kept[block] = None\n            if block < 0:\n"
CAUGHT_BY = ("wrong_calls_change_nothing",)
