"""Waiting texts take the blocks that a running one has just lost."""

FILE = "minillm/serving/schedule/step.py"
OLD = "while self.tokens_left > 0 and not self._blocks_lack and"
NEW = "while self.tokens_left > 0 and"
CAUGHT_BY = (
    "a_child_of_a_preempted_parent_is_served",
    "random_days",
)
