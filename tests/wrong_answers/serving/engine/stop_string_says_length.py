"""A text that a stop string ended says that it was long enough."""

FILE = "minillm/serving/writing/answer.py"
OLD = 'reason = "stop" if stopped else reason'
NEW = 'reason = "length" if stopped else reason'
CAUGHT_BY = ("random_days",)
