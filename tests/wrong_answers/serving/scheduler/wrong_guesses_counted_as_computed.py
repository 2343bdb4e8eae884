"""All guesses count as computed, whether they were right or not."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
        request.num_computed_tokens = len(request.token_ids) - 1
"""
NEW = """\
        request.num_computed_tokens = share.start + share.num_tokens
"""
CAUGHT_BY = (
    "guesses_that_are_wrong_are_cut_off",
    "random_days",
)
