"""Pages before the last query's window are skipped, though earlier queries see into them."""

FILE = "minillm/attention/paged_plan.py"
OLD = "max(0, text.keys - text.length - window + 1)"
NEW = "max(0, text.keys - window)"
CAUGHT_BY = ("windows", "every_family")
