"""It names the end of the delay though a timeout comes first."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "return due if deadline is None else min(due, deadline)"
NEW = "return due"
CAUGHT_BY = ["random_days_agree_with_the_slow_batcher"]
