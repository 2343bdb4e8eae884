"""The mask lets one row too many through."""

FILE = "kernels/softmax.py"
OLD = "(rows < num_rows)"
NEW = "(rows <= num_rows)"
CAUGHT_BY = ("edges",)
