"""Those whose time is over still take up room when somebody comes."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "        self._expire(now)\n        try:"
NEW = "        try:"
CAUGHT_BY = ["those_whose_time_is_over_make_room"]
