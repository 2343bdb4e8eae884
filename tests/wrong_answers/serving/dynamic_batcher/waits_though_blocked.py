"""A batch that cannot grow waits for company all the same."""

FILE = "minillm/serving/batching/send_rule.py"
OLD = "if blocked or overdue or not may_wait"
NEW = "if overdue or not may_wait"
CAUGHT_BY = ["nobody_is_skipped", "shapes_do_not_mix"]
