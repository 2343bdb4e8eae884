"""What a cut prompt computed is not counted, so it is computed for ever."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
                request.num_computed_tokens = share.start + share.num_tokens
"""
NEW = """\
                pass
"""
CAUGHT_BY = (
    "a_long_prompt_is_cut_to_the_budget",
    "random_days",
)
