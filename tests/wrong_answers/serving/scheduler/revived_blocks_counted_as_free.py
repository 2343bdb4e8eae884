"""Kept blocks that are found again are counted as free ones, too."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = "if table.blocks_needed(num_tokens - length) > pool.num_free - owed:"
NEW = "if False:"
CAUGHT_BY = (
    "who_comes_back_finds_what_it_wrote",
    "random_days",
)
