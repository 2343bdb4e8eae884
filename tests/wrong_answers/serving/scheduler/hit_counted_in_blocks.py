"""What was found is counted in blocks where tokens are meant."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = "return Beginning(len(hit) * size, hit)"
NEW = "return Beginning(len(hit), hit)"
CAUGHT_BY = (
    "a_block_is_found_only_after_its_step",
    "random_days",
)
