"""Answers leave when they are ready, whatever was asked."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "        if not self.config.preserve_ordering:\n            self._resolve"
NEW = "        if True:\n            self._resolve"
CAUGHT_BY = ["answers_leave_in_order", "futures_end_in_order"]
