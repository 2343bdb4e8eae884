"""v is read with the strides of k."""

FILE = "kernels/flash_backward.py"
OLD = "keys * stride_vs + offs_d"
NEW = "keys * stride_ks + offs_d"
CAUGHT_BY = ("strided_views",)
