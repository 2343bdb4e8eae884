"""A banned token over an infinite temperature is NaN."""

FILE = "minillm/decoding/support.py"
OLD = "min(max(rule.temperature, limits.tiny), limits.max)"
NEW = "max(rule.temperature, limits.tiny)"
CAUGHT_BY = ("extreme_scores_and_temperatures_have_limits",)
