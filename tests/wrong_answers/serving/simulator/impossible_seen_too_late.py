"""A request that never fits is found out in the middle of the day."""

FILE = "minillm/serving/simulate.py"
OLD = "        self._require_possible(config)\n"
NEW = ""
CAUGHT_BY = ("impossible_days_are_refused_before_they_begin",)
