"""A block that was exchanged for another goes unseen."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "if self._rows[row] != block_ids:"
NEW = "if len(self._rows[row]) != len(block_ids):"
CAUGHT_BY = ("exchanged_blocks_are_loaded_again",)
