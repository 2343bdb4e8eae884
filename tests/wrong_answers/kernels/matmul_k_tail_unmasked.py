"""The last step along K multiplies what lies behind the matrix."""

FILE = "kernels/matmul.py"
OLD = "mask_k = offs_k < K - k"
NEW = "mask_k = offs_k < K"
CAUGHT_BY = ("edges",)
