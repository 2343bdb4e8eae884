"""A token is handed over before it was computed."""

FILE = "minillm/serving/metrics.py"
OLD = "self._hand_over(written, step.end)"
NEW = "self._hand_over(written, step.start)"
CAUGHT_BY = ("an_engine_tells_the_times_of_its_requests",)
