"""Exactly p reached, and one more is kept."""

FILE = "minillm/decoding/support.py"
OLD = ".double() < tops * totals.double())"
NEW = ".double() <= tops * totals.double())"
CAUGHT_BY = ("equal_scores_go_by_id",)
