"""Rows that have ended cost nothing."""

FILE = "minillm/serving/schedule/step.py"
OLD = "self.num_padding_tokens = self.scheduler.num_rows * longest"
NEW = "self.num_padding_tokens = len(self.running) * longest"
CAUGHT_BY = (
    "a_static_batch_waits_for_its_last",
    "random_days",
)
