"""The batcher ends while requests wait."""

FILE = "minillm/serving/batching/threads.py"
OLD = "if self._core.is_closed and self._core.is_idle:"
NEW = "if self._core.is_closed:"
CAUGHT_BY = ["leaving_drains"]
