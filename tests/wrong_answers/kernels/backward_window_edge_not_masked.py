"""A tile of queries counts as whole up to the last key's window."""

FILE = "kernels/flash_backward.py"
OLD = "full_end = tl.minimum(tl.maximum(first + window, 0), L)"
NEW = "full_end = tl.minimum(tl.maximum(last + window, 0), L)"
CAUGHT_BY = ("values",)
