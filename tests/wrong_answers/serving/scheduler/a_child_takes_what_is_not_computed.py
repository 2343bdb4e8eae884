"""A child shares its parent's blocks before they are computed."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = "parent is not None and parent.num_computed_tokens > shared"
NEW = "parent is not None and parent.table is not None and parent.table.length > shared"
CAUGHT_BY = ("random_days",)
