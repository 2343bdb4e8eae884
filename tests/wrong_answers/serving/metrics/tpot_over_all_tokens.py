"""The time after the first token is shared among all tokens, the first included."""

FILE = "minillm/serving/watching/request_times.py"
OLD = "self.token_times[0]) / (tokens - 1) if tokens > 1"
NEW = "self.token_times[0]) / tokens if tokens > 1"
CAUGHT_BY = ("time_per_output_token_leaves_out_the_first", "a_run_is_summed_up")
