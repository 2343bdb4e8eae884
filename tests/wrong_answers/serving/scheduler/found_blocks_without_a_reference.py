"""Blocks that were found are used without a reference: whoever computed them takes them along."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = "pool.fork(beginning.block_ids)"
NEW = "list(beginning.block_ids)"
CAUGHT_BY = (
    "one_arrival_a_step_does_not_hold_up_who_runs",
    "random_days",
)
