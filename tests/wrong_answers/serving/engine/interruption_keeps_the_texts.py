"""Texts of an interrupted step stay, half computed."""

FILE = "minillm/serving/engine.py"
OLD = "            self._abort([share.request.request_id for share in output.shares])\n"
NEW = ""
CAUGHT_BY = ("an_interruption_leaves_an_engine_that_works",)
