"""The list was read before it moved."""

FILE = "minillm/decoding/penalties.py"
OLD = "            place = self._find(token)  # which may move the lists: first of all\n            self._in_output[place] += 1\n"
NEW = "            lists = self._in_output\n            place = self._find(token) % len(lists)\n            lists[place] += 1\n"
CAUGHT_BY = ("counts_that_grow_are_counts_from_nothing",)
