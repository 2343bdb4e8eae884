"""A request is left in the line and nobody is told."""

FILE = "minillm/serving/batching/threads.py"
OLD = "                self._futures[ticket] = future\n                self._changed.notify()"
NEW = "                self._futures[ticket] = future"
CAUGHT_BY = ["a_request_wakes_the_sleeper"]
