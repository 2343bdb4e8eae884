"""A temperature too small for float32 divides by nothing."""

FILE = "minillm/decoding/support.py"
OLD = "min(max(rule.temperature, limits.tiny), limits.max)"
NEW = "min(rule.temperature, limits.max)"
CAUGHT_BY = ("extreme_scores_and_temperatures_have_limits",)
