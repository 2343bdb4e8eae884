"""The table keeps room, and blocks, for guesses that were wrong."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
            request.table.truncate(request.num_computed_tokens)
"""
NEW = """\
            pass
"""
CAUGHT_BY = (
    "guesses_that_are_wrong_are_cut_off",
    "random_days",
)
