"""Higher numbers go first."""

FILE = "minillm/serving/schedule/waiting_line.py"
OLD = "(request.priority if self.by_priority else 0)"
NEW = "(-request.priority if self.by_priority else 0)"
CAUGHT_BY = (
    "lower_priority_numbers_go_first",
    "random_days",
)
