"""A tile of queries counts as whole although the last key hides from its first row."""

FILE = "kernels/flash_backward.py"
OLD = "full_start = (tl.maximum(last, 0) + BLOCK_L - 1)"
NEW = "full_start = (tl.maximum(last, 0) + BLOCK_L - 2)"
CAUGHT_BY = ("edges_of_tiles",)
