"""A text that was cut back keeps its counts."""

FILE = "minillm/decoding/penalties.py"
OLD = "            self._in_output[self._place[token]] -= 1\n"
NEW = "            pass\n"
CAUGHT_BY = ("counts_that_grow_are_counts_from_nothing",)
