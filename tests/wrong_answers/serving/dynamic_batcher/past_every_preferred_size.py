"""A request that carries the rows past every preferred size is taken along."""

FILE = "minillm/serving/batching/send_rule.py"
OLD = "        if count and not best and rows + size > preferred[-1]:\n            best = count\n"
NEW = ""
CAUGHT_BY = ["a_request_that_would_pass_every_preferred_size_stays"]
