"""A bound that is met exactly is missed."""

FILE = "minillm/serving/watching/summary.py"
OLD = "took <= bound"
NEW = "took < bound"
CAUGHT_BY = ("goodput_counts_whole_requests_that_met_everything",)
