"""What prompts that were cut still need is promised to another."""

FILE = "minillm/serving/schedule/step.py"
OLD = "(request.num_tokens, self._blocks_owed()) if whole"
NEW = "(request.num_tokens, 0) if whole"
CAUGHT_BY = (
    "splitfuse_counts_what_cut_prompts_still_need",
    "random_days",
)
