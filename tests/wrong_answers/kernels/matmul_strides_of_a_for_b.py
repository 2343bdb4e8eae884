"""b is advanced by a's stride: right while both lie alike."""

FILE = "kernels/matmul.py"
OLD = "b_ptrs += BLOCK_K * stride_bk"
NEW = "b_ptrs += BLOCK_K * stride_ak"
CAUGHT_BY = ("values", "strides")
