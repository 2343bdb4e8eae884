"""A cancelled future is still in the line."""

FILE = "minillm/serving/batching/threads.py"
OLD = "        future.add_done_callback(lambda done: self._take_back(ticket) if done.cancelled() else None)\n"
NEW = ""
CAUGHT_BY = ["a_cancelled_future_is_never_computed"]
