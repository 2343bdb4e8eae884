"""A row of the table is loaded for its first text only."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "if self._rows[row] != block_ids:"
NEW = "if not self._rows[row]:"
CAUGHT_BY = ("every_row_is_the_steps_own", "exchanged_blocks_are_loaded_again")
