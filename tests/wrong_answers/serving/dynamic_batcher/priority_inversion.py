"""The lowest level is served first."""

FILE = "minillm/serving/batching/level_queues.py"
OLD = "for level in self._levels.values():"
NEW = "for level in reversed(self._levels.values()):"
CAUGHT_BY = ["a_higher_level_is_served_first"]
