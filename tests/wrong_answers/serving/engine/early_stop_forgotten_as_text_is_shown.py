"""Showing text makes a stop string count that was complete too early."""

FILE = "minillm/serving/writing/text_stream.py"
OLD = "max(0, self._decided - count)"
NEW = "0"
CAUGHT_BY = ("early_stops_stay_without_effect",)
