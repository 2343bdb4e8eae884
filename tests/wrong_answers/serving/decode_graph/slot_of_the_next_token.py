"""A key is kept one place too far."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "* P + (n - 1) % P for row"
NEW = "* P + n % P for row"
CAUGHT_BY = ("every_row_is_the_steps_own",)
