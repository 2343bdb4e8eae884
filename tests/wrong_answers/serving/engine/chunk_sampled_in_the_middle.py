"""A token is chosen behind every piece of a prompt."""

FILE = "minillm/serving/compute/worker.py"
OLD = "sampling = [share for share in output.shares if share.samples]"
NEW = "sampling = list(output.shares)"
CAUGHT_BY = ("random_days",)
