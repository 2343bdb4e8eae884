"""Another definition of a percentile than the one that is written."""

FILE = "minillm/serving/watching/summary.py"
OLD = "place = (len(ordered) - 1) * percent / 100"
NEW = "place = len(ordered) * percent / 100 - 0.5"
CAUGHT_BY = ("percentiles_are_numpys",)
