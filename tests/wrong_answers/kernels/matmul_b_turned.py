"""b is read as its transpose."""

FILE = "kernels/matmul.py"
OLD = "offs_k[:, None] * stride_bk + offs_n[None, :] * stride_bn"
NEW = "offs_k[:, None] * stride_bn + offs_n[None, :] * stride_bk"
CAUGHT_BY = ("values",)
