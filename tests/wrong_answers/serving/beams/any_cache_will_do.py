"""The cache is not looked at."""

FILE = "minillm/serving/beams.py"
OLD = "        _require_sizes(model, cache)\n"
NEW = ""
CAUGHT_BY = ("odd_calls_are_refused_before_any_work",)
