"""A thread that gets free wakes nobody."""

FILE = "minillm/serving/batching/threads.py"
OLD = "                    self._core.fail(batch, self._clock(), error)\n                self._changed.notify()"
NEW = "                    self._core.fail(batch, self._clock(), error)"
CAUGHT_BY = ["whoever_gets_free_takes_the_next_batch"]
