"""A token does not attend to itself."""

FILE = "minillm/measure/step_cost.py"
OLD = "count * (count + 1) // 2"
NEW = "count * (count - 1) // 2"
CAUGHT_BY = ("the_clock_moves_by_what_a_step_costs",)
