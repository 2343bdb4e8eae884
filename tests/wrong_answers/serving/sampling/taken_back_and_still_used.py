"""A token that was taken back stays one of the text, and is penalised for a repetition that never was."""

FILE = "minillm/decoding/penalties.py"
OLD = "        used = self._in_output[: len(self._place)] > 0\n"
NEW = "        used = self._in_output[: len(self._place)] >= 0\n"
CAUGHT_BY = ("counts_that_grow_are_counts_from_nothing",)
