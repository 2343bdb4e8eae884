"""dq is multiplied by the scale and dk is not."""

FILE = "kernels/flash_backward.py"
OLD = "(dk * plain_scale)"
NEW = "dk"
CAUGHT_BY = ("values",)
