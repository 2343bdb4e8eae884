"""The queue is left out of the time to first token: what the user waited there is nobody's."""

FILE = "minillm/serving/watching/request_times.py"
OLD = "return self.token_times[0] - self.arrival if"
NEW = "return self.token_times[0] - self.scheduled if"
CAUGHT_BY = ("the_first_token_is_waited_for_from_arrival",)
