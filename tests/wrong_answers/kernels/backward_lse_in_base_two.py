"""The lse, a natural logarithm, is read as if it were one of base 2."""

FILE = "kernels/flash_backward.py"
OLD = "lse = tl.load(lse_ptr + row) * 1.4426950408889634"
NEW = "lse = tl.load(lse_ptr + row)"
CAUGHT_BY = ("values",)
