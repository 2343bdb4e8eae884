"""Dropped streams are written to their ends."""

FILE = "minillm/serving/engine.py"
OLD = "            self.discard(self._unwanted.pop())"
NEW = "            self._unwanted.pop()"
CAUGHT_BY = ("dropped_streams_are_aborted",)
