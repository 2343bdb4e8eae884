"""A prompt that may not be cut and fits no step waits for ever."""

FILE = "minillm/serving/scheduler.py"
OLD = "if not config.cuts_prompts and request.num_prompt_tokens > config.max_num_batched_tokens:"
NEW = "if False:"
CAUGHT_BY = (
    "what_can_never_be_served_is_refused",
    "random_days",
)
