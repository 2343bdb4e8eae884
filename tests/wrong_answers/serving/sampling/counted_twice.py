"""What was counted is counted again."""

FILE = "minillm/decoding/penalties.py"
OLD = "            self._followed.append(token)\n"
NEW = "            pass\n"
CAUGHT_BY = ("counts_that_grow_are_counts_from_nothing",)
