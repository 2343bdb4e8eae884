"""A batch may be one row larger than the largest."""

FILE = "minillm/serving/batching/send_rule.py"
OLD = "rows + ticket.size > max_batch_size or"
NEW = "rows + ticket.size > max_batch_size + 1 or"
CAUGHT_BY = ["random_days_agree_with_the_slow_batcher"]
