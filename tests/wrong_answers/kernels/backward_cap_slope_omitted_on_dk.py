"""A cap bends the scores, and dk does not know."""

FILE = "kernels/flash_backward.py"
OLD = "ds_t = ds_t * (1.0 - t * t)"
NEW = "ds_t = ds_t * 1.0"
CAUGHT_BY = ("cap_slope",)
