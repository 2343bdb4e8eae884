"""A text ends one token late."""

FILE = "minillm/serving/scheduler.py"
OLD = "elif written >= request.max_tokens:"
NEW = "elif written > request.max_tokens:"
CAUGHT_BY = (
    "guesses_are_cut_to_what_may_still_be_written",
    "random_days",
)
