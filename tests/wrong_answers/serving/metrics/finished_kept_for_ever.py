"""The times of every request that ever was are kept."""

FILE = "minillm/serving/metrics.py"
OLD = "if len(self.finished) > self.keep:"
NEW = "if False:"
CAUGHT_BY = ("finished_requests_are_kept_up_to_a_number",)
