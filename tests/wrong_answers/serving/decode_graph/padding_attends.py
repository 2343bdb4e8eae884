"""A row that nobody has keeps the length of who had it before."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "        self._narrow[:B], self._narrow[B : self.size] = lengths, 0"
NEW = "        self._narrow[:B] = lengths"
CAUGHT_BY = ("every_row_is_the_steps_own",)
