"""A day on which the queue is full is refused."""

FILE = "minillm/serving/simulate.py"
OLD = "replace(config, max_num_waiting=None)"
NEW = "config"
CAUGHT_BY = ("impossible_days_are_refused_before_they_begin", "who_finds_the_queue_full_is_turned_away")
