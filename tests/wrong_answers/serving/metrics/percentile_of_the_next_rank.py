"""A percentile between two values is the larger one."""

FILE = "minillm/serving/watching/summary.py"
OLD = "below = math.floor(place)"
NEW = "below = math.ceil(place)"
CAUGHT_BY = ("percentiles_are_numpys",)
