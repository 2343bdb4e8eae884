"""Offsets along K in int32."""

FILE = "kernels/matmul.py"
OLD = "stride_ak, stride_bk = tl.cast(stride_ak, tl.int64), tl.cast(stride_bk, tl.int64)"
NEW = "stride_ak, stride_bk = stride_ak, stride_bk"
CAUGHT_BY = ("wide_offsets",)
