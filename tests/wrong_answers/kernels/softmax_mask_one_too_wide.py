"""The mask lets one column too many through."""

FILE = "kernels/softmax.py"
OLD = "(offs_n < N)[None, :]"
NEW = "(offs_n <= N)[None, :]"
CAUGHT_BY = ("edges",)
