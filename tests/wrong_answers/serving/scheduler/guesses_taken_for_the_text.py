"""A share that ends with a guess is not said to reach the end of what is known."""

FILE = "minillm/serving/schedule/step.py"
OLD = "samples = start + count == len(request.token_ids)"
NEW = "samples = start + count + drafts == len(request.token_ids)"
CAUGHT_BY = (
    "guesses_that_are_right_count",
    "random_days",
)
