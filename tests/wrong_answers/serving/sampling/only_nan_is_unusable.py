"""Infinite scores are taken for scores."""

FILE = "minillm/decoding/sampling.py"
OLD = "if not math.isfinite(value)]"
NEW = "if math.isnan(value)]"
CAUGHT_BY = ("rows_without_a_best_score_are_named",)
