"""A row of NaN gets a token."""

FILE = "minillm/decoding/sampling.py"
OLD = "        raise UnusableScores(unusable)\n"
NEW = "        return [0] * len(choices)\n"
CAUGHT_BY = ("rows_without_a_best_score_are_named",)
