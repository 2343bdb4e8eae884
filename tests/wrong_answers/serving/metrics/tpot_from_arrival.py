"""Waiting for the first token is counted as time per later token."""

FILE = "minillm/serving/watching/request_times.py"
OLD = "(self.token_times[-1] - self.token_times[0]) / (tokens - 1)"
NEW = "(self.token_times[-1] - self.arrival) / (tokens - 1)"
CAUGHT_BY = ("time_per_output_token_leaves_out_the_first",)
