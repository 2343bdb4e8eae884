"""Those behind a request that does not fit are taken before it."""

FILE = "minillm/serving/batching/send_rule.py"
OLD = "            return front, True\n"
NEW = "            continue\n"
CAUGHT_BY = ["nobody_is_skipped", "shapes_do_not_mix"]
