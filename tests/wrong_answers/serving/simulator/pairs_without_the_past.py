"""New tokens attend to one another alone."""

FILE = "minillm/measure/step_cost.py"
OLD = "pairs += count * start + count * (count + 1) // 2"
NEW = "pairs += count * (count + 1) // 2"
CAUGHT_BY = ("the_clock_moves_by_what_a_step_costs",)
