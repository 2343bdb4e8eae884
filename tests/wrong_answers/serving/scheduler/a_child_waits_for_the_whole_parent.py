"""A child is not told that its parent's prompt is computed."""

FILE = "minillm/serving/scheduler.py"
OLD = "if parent.num_computed_tokens >= parent.num_prompt_tokens:"
NEW = "if parent.is_finished:"
CAUGHT_BY = (
    "samples_share_all_blocks_of_their_prompt",
    "random_days",
)
