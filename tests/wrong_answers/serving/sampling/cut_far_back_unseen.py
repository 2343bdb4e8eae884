"""Only the last tokens are compared."""

FILE = "minillm/decoding/penalties.py"
OLD = "        if start and ours[start] != output_token_ids[start]:\n            start = 0\n"
NEW = ""
CAUGHT_BY = ("counts_that_grow_are_counts_from_nothing",)
