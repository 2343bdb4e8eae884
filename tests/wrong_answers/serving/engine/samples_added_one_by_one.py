"""A request that does not fit whole is added in part."""

FILE = "minillm/serving/engine.py"
OLD = "            for request in requests[:added]:"
NEW = "            for request in requests[:0]:"
CAUGHT_BY = ("wrong_requests_change_nothing",)
