"""Closing with drain aborts what is being written."""

FILE = "minillm/serving/asking/engine_driver.py"
OLD = "            if not drain:\n"
NEW = "            if drain:\n"
CAUGHT_BY = ("a_closed_engine_drains_or_rejects",)
