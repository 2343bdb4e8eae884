"""Exponentials and their sum in the input's precision."""

FILE = "kernels/softmax.py"
OLD = 'mask=mask, other=-float("inf")).to(tl.float32)'
NEW = 'mask=mask, other=-float("inf")).to(tl.float16)'
CAUGHT_BY = ("values",)
