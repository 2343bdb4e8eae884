"""Row numbers in int32, so a row 2**31 elements away is never reached."""

FILE = "kernels/matmul.py"
OLD = "offs_m = tl.cast(m_tile * BLOCK_M + tl.arange(0, BLOCK_M), tl.int64)"
NEW = "offs_m = m_tile * BLOCK_M + tl.arange(0, BLOCK_M)"
CAUGHT_BY = ("wide_offsets",)
