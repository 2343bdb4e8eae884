"""The row before the one that chooses is scored."""

FILE = "minillm/serving/compute/worker.py"
OLD = "for row in range(end - share.num_drafts - 1, end)"
NEW = "for row in range(max(0, end - share.num_drafts - 2), end - 1)"
CAUGHT_BY = ("random_days",)
