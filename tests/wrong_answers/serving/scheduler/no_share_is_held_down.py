"""One prompt may take the whole step, whatever was said."""

FILE = "minillm/serving/schedule/step.py"
OLD = """\
            known = min(known, threshold)
"""
NEW = """\
            pass
"""
CAUGHT_BY = (
    "a_prompt_may_be_held_to_a_share_of_the_step",
    "random_days",
)
