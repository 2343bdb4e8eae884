"""A cap bends the scores, and dq does not know."""

FILE = "kernels/flash_backward.py"
OLD = "            ds = ds * (1.0 - t * t)"
NEW = "            ds = ds * 1.0"
CAUGHT_BY = ("cap_slope",)
