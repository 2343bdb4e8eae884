"""A preempted request is scheduled for the first time twice."""

FILE = "minillm/serving/metrics.py"
OLD = "if life.scheduled is None:"
NEW = "if True:"
CAUGHT_BY = ("an_engine_tells_the_times_of_its_requests", "an_engine_counts_tokens_and_ends")
