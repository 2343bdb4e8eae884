"""A cancelled request is computed all the same."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "        self._line.remove(ticket)\n        self._resolve(ticket, CANCELLED, None)"
NEW = "        self._resolve(ticket, CANCELLED, None)"
CAUGHT_BY = ["the_wait_is_measured_anew_when_the_oldest_leaves", "random_days_agree_with_the_slow_batcher"]
