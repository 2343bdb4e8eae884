"""As many may wait as like."""

FILE = "minillm/serving/scheduler.py"
OLD = "limit is not None and self.num_waiting >= limit"
NEW = "limit is not None and self.num_waiting > limit + 1000"
CAUGHT_BY = ("a_full_queue_takes_nobody",)
