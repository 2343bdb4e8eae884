"""A child does not wait for its parent's prompt, and shares nothing."""

FILE = "minillm/serving/schedule/waiting_line.py"
OLD = "if parent is None or not self.parks or parent.is_finished:"
NEW = "if True:"
CAUGHT_BY = (
    "a_child_holds_up_nobody_while_it_waits_for_its_parent",
    "random_days",
)
