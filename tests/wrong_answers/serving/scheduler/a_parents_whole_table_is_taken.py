"""A child takes all blocks of its parent, those behind the prompt too."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = "held.block_ids[: -(-shared // size)]"
NEW = "list(held.block_ids)"
CAUGHT_BY = (
    "samples_share_all_blocks_of_their_prompt",
    "random_days",
)
