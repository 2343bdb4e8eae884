"""One bound met is as good as all."""

FILE = "minillm/serving/watching/summary.py"
OLD = "return all(bound is None"
NEW = "return any(bound is None"
CAUGHT_BY = ("goodput_counts_whole_requests_that_met_everything",)
