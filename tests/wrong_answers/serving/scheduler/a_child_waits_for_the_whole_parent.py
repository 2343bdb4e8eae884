"""A child is not told that its parent's prompt is computed."""

FILE = "minillm/serving/scheduler.py"
OLD = "if request.num_computed_tokens >= request.num_prompt_tokens:"
NEW = "if request.is_finished:"
CAUGHT_BY = (
    "samples_share_all_blocks_of_their_prompt",
    "random_days",
)
