"""Guesses are believed."""

FILE = "minillm/serving/compute/worker.py"
OLD = "kept = accept_same_noise(ids, tokens[row : row + len(ids) + 1]) if ids"
NEW = "kept = [*ids, tokens[row + len(ids)]] if ids"
CAUGHT_BY = (
    "random_days",
    "proposers_may_be_wrong_in_any_way",
)
