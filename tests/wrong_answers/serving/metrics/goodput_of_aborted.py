"""An aborted request counts as served well."""

FILE = "minillm/serving/watching/summary.py"
OLD = "if times.finish_reason not in ANSWERED or not times.token_times:"
NEW = "if not times.token_times:"
CAUGHT_BY = ("goodput_counts_whole_requests_that_met_everything",)
