"""A token is turned by the next one's position."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "        positions -= 1"
NEW = "        positions -= 0"
CAUGHT_BY = ("every_row_is_the_steps_own", "buffers_stay_where_they_are")
