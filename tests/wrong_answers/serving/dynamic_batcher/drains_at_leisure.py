"""A batcher that is closing still waits for company."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "delay = 0 if self.is_closed else self.config.max_queue_delay_microseconds"
NEW = "delay = self.config.max_queue_delay_microseconds"
CAUGHT_BY = ["closing_sends_those_who_wait", "leaving_drains"]
