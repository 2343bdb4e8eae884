"""Prefill takes the queue in."""

FILE = "minillm/serving/watching/request_times.py"
OLD = "return self.token_times[0] - self.scheduled if"
NEW = "return self.token_times[0] - self.arrival if"
CAUGHT_BY = ("waiting_is_told_apart_from_reading",)
