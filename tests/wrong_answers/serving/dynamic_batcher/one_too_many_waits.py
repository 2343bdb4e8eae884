"""One more may wait than may."""

FILE = "minillm/serving/batching/level_queues.py"
OLD = "if most and waiting >= most:"
NEW = "if most and waiting > most:"
CAUGHT_BY = ["a_full_queue_refuses"]
