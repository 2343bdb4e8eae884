"""A share's rows are counted from its own beginning."""

FILE = "minillm/serving/compute/worker.py"
OLD = "ends = accumulate(share.num_tokens for share in shares)"
NEW = "ends = [share.num_tokens for share in shares]"
CAUGHT_BY = ("random_days",)
