"""Room is reserved for prompts, and not for what will be written."""

FILE = "minillm/serving/schedule/step.py"
OLD = "needed = sum(self.memory.most_blocks(other) for other in self.running)"
NEW = "needed = sum(len(other.table.block_ids) for other in self.running)"
CAUGHT_BY = (
    "what_is_reserved_is_never_taken_away",
    "random_days",
)
