"""A prompt is let in when its first part fits."""

FILE = "minillm/serving/schedule/policies.py"
OLD = "step.admit(whole=True)"
NEW = "step.admit()"
CAUGHT_BY = (
    "splitfuse_takes_a_prompt_only_if_all_of_it_fits",
    "random_days",
)
