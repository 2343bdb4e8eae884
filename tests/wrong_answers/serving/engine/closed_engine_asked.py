"""A closed engine takes requests that nobody answers."""

FILE = "minillm/serving/asking/engine_driver.py"
OLD = "            if self._is_closing:\n                rule"
NEW = "            if False:\n                rule"
CAUGHT_BY = ("a_closed_engine_drains_or_rejects",)
