"""A request that needs more blocks than there are is taken in."""

FILE = "minillm/serving/scheduler.py"
OLD = "if self.memory.most_blocks(request) > blocks:"
NEW = "if False:"
CAUGHT_BY = (
    "what_can_never_be_served_is_refused",
    "random_days",
)
