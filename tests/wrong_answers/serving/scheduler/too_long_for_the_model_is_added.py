"""Nobody asks how many positions the model has."""

FILE = "minillm/serving/scheduler.py"
OLD = "config.max_model_len is not None and needed"
NEW = "config.max_model_len is None and needed"
CAUGHT_BY = (
    "what_can_never_be_served_is_refused",
    "random_days",
)
