"""Every text chooses by the first one's scores."""

FILE = "minillm/serving/compute/worker.py"
OLD = "row += len(ids) + 1"
NEW = "row += len(ids)"
CAUGHT_BY = ("random_days",)
