"""A prompt takes more tokens than the step has left."""

FILE = "minillm/serving/schedule/step.py"
OLD = "return min(known, most)"
NEW = "return known"
CAUGHT_BY = (
    "a_long_prompt_is_cut_to_the_budget",
    "random_days",
)
