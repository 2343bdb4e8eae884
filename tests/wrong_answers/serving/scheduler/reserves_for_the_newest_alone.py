"""What those who run will need is forgotten."""

FILE = "minillm/serving/schedule/step.py"
OLD = "needed = sum(self.memory.most_blocks(other) for other in self.running)"
NEW = "needed = 0"
CAUGHT_BY = (
    "what_is_reserved_is_never_taken_away",
    "random_days",
)
