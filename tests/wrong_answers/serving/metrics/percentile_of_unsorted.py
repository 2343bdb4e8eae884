"""A percentile of values in the order they came."""

FILE = "minillm/serving/request_times.py"
OLD = "ordered = sorted(values)"
NEW = "ordered = list(values)"
CAUGHT_BY = ("percentiles_are_numpys",)
