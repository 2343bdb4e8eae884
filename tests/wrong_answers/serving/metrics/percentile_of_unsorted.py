"""A percentile of values in the order they came."""

FILE = "minillm/serving/watching/summary.py"
OLD = "ordered = sorted(kept)"
NEW = "ordered = list(kept)"
CAUGHT_BY = ("percentiles_are_numpys",)
