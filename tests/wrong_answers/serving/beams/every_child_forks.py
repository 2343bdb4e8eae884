"""The parent's own table is never given back."""

FILE = "minillm/serving/beams.py"
OLD = "tables[parent] if parent not in parents[:i] else tables[parent].fork()"
NEW = "tables[parent].fork()"
CAUGHT_BY = ("beams_share_the_blocks_of_their_beginning", "a_pool_that_runs_out_is_refused_with_nothing_leaked")
