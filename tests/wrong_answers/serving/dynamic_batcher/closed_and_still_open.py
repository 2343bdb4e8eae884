"""A batcher that drains takes in more."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "        if self.is_closed:\n            raise"
NEW = "        if False:\n            raise"
CAUGHT_BY = ["closing_sends_those_who_wait", "leaving_drains"]
