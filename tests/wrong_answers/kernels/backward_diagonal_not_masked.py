"""A tile of queries counts as whole from the one that the diagonal ends in."""

FILE = "kernels/flash_backward.py"
OLD = "full_start = (tl.maximum(last, 0) + BLOCK_L - 1) //"
NEW = "full_start = (tl.maximum(last, 0)) //"
CAUGHT_BY = ("values",)
