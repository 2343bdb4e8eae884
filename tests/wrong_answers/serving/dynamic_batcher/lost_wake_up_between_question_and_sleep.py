"""The lock is let go between the question and the sleep."""

FILE = "minillm/serving/batching/threads.py"
OLD = "                if not self._ended:\n                    # The lock is held since the question was asked, so nothing can change between answer and sleep.\n                    self._changed.wait"
NEW = "            import time as _time; _time.sleep(0.02)\n            with self._changed:\n                if not self._ended:\n                    self._changed.wait"
CAUGHT_BY = ["many_threads_get_their_own_answers"]
