"""End to end begins when the engine cares to begin."""

FILE = "minillm/serving/watching/request_times.py"
OLD = "return self.token_times[-1] - self.arrival if"
NEW = "return self.token_times[-1] - self.scheduled if"
CAUGHT_BY = ("end_to_end_is_from_arrival_to_the_last_token",)
