"""A child shares its parent's whole prompt, and there is no token left to say what follows."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = "parent, shared = request.parent, request.num_prompt_tokens - 1"
NEW = "parent, shared = request.parent, request.num_prompt_tokens"
CAUGHT_BY = (
    "samples_share_all_blocks_of_their_prompt",
    "random_days",
)
