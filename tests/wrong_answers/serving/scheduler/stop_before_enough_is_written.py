"""A stop token ends a text that has not written its minimum."""

FILE = "minillm/serving/scheduler.py"
OLD = " and written >= request.min_tokens:"
NEW = ":"
CAUGHT_BY = (
    "a_stop_token_ends_a_text_that_has_written_enough",
    "random_days",
)
