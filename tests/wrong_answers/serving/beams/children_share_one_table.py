"""Two beams write through one table."""

FILE = "minillm/serving/beams.py"
OLD = "tables[parent] if parent not in parents[:i] else tables[parent].fork()"
NEW = "tables[parent]"
CAUGHT_BY = ("paged_beams_are_those_that_recompute_everything", "beams_share_the_blocks_of_their_beginning")
