"""Who is urgent waits like everybody."""

FILE = "minillm/serving/schedule/waiting_line.py"
OLD = "(request.priority if self.by_priority else 0)"
NEW = "0"
CAUGHT_BY = (
    "lower_priority_numbers_go_first",
    "random_days",
)
