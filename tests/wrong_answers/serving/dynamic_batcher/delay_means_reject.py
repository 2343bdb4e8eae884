"""DELAY turns away."""

FILE = "minillm/serving/batching/level_queues.py"
OLD = "if level.policy.timeout_action == DELAY:"
NEW = 'if level.policy.timeout_action == "LATER":'
CAUGHT_BY = ["the_delayed_come_after_all_that_are_in_time"]
