"""The first takes what it can use, and nothing is left for those who run behind it."""

FILE = "minillm/serving/schedule/step.py"
OLD = "max(1, self.tokens_left - behind)"
NEW = "self.tokens_left"
CAUGHT_BY = (
    "who_runs_goes_first_and_leaves_a_token_for_each_behind",
    "random_days",
)
