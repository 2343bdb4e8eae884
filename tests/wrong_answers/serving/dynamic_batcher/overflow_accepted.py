"""The queue has no end."""

FILE = "minillm/serving/batching/level_queues.py"
OLD = "if most and waiting >= most:"
NEW = "if most and waiting > 10 * most:"
CAUGHT_BY = ["a_full_queue_refuses", "those_whose_time_is_over_make_room"]
