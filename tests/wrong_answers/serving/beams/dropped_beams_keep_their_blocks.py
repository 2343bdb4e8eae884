"""A beam without a child gives nothing back."""

FILE = "minillm/serving/beams.py"
OLD = "        if i not in parents:\n            table.free()\n"
NEW = "        if i not in parents:\n            continue\n"
CAUGHT_BY = (
    "beams_share_the_blocks_of_their_beginning",
    "a_pool_that_runs_out_is_refused_with_nothing_leaked",
    "paged_beams_are_those_that_recompute_everything",
)
