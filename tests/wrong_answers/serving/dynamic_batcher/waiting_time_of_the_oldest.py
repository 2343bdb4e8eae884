"""Queue time is added up for the oldest of a batch only."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "            self._statistics.queue_duration_us += now - ticket.submitted_at\n"
NEW = "        self._statistics.queue_duration_us += now - tickets[0].submitted_at\n"
CAUGHT_BY = ["statistics_are_those_of_triton"]
