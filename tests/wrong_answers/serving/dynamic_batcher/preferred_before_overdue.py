"""A preferred size goes alone though the oldest is overdue."""

FILE = "minillm/serving/batching/send_rule.py"
OLD = "if best and not overdue:"
NEW = "if best:"
CAUGHT_BY = ["the_overdue_take_everybody_along"]
