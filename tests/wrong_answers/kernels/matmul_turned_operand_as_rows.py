"""The persistent kernel describes a turned b as if it lay row by row."""

FILE = "kernels/matmul.py"
OLD = "B_ROWS=b.stride(1) == 1"
NEW = "B_ROWS=True"
CAUGHT_BY = ("strides",)
