"""The running sum shrinks with a new maximum, and the running output does not."""

FILE = "minillm/attention/paged.py"
OLD = "mixed = mixed * shrink + weights"
NEW = "mixed = mixed + weights"
CAUGHT_BY = ("rising_keys", "small_tiles")
