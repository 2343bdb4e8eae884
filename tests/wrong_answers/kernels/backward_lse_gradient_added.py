"""The gradient of lse is added to delta; it has to be taken off."""

FILE = "kernels/flash_backward.py"
OLD = "delta -= tl.load(dlse_ptr"
NEW = "delta += tl.load(dlse_ptr"
CAUGHT_BY = ("sinks_and_lse",)
