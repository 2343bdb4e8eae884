"""Texts attended to together see the whole of the page where their window begins."""

FILE = "minillm/attention/paged_plan.py"
OLD = "hides = len(blank) > 0 or cut[begin:end].any()"
NEW = "hides = len(blank) > 0"
CAUGHT_BY = ("windows",)
