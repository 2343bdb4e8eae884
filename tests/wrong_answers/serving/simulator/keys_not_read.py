"""Only the new tokens' keys are read."""

FILE = "minillm/measure/step_cost.py"
OLD = "keys + start + count"
NEW = "keys + count"
CAUGHT_BY = ("the_clock_moves_by_what_a_step_costs",)
