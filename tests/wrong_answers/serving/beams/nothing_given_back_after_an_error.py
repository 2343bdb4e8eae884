"""Leaving in the middle keeps the blocks."""

FILE = "minillm/serving/beams.py"
OLD = "        self.close()\n"
NEW = "        if kind is None:\n            self.close()\n"
CAUGHT_BY = ("a_pool_that_runs_out_is_refused_with_nothing_leaked",)
