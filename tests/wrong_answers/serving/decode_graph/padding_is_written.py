"""A row that nobody has writes to slot 0."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "        slots[B:] = NOWHERE"
NEW = "        slots[B:] = 0"
CAUGHT_BY = ("every_row_is_the_steps_own",)
