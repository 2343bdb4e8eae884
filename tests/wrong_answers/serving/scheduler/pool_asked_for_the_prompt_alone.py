"""Whether a request fits the pool is asked without what it will write."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = "-(-request.most_tokens // self.pool.block_size)"
NEW = "-(-request.num_prompt_tokens // self.pool.block_size)"
CAUGHT_BY = (
    "what_can_never_be_served_is_refused",
    "random_days",
)
