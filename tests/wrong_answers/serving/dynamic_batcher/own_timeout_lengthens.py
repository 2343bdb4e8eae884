"""A request may give itself more time than the default."""

FILE = "minillm/serving/batching/config.py"
OLD = "return own if default is None else min(own, default)"
NEW = "return own"
CAUGHT_BY = ["an_own_timeout_only_shortens"]
