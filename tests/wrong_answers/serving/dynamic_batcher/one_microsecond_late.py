"""At its deadline a request is still in time."""

FILE = "minillm/serving/batching/level_queues.py"
OLD = "deadline <= now:"
NEW = "deadline < now:"
CAUGHT_BY = ["time_runs_out_in_the_queue_though_everybody_is_busy"]
