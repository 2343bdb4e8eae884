"""A tile that sticks out below reads and writes all its rows."""

FILE = "kernels/matmul.py"
OLD = "mask_m, mask_n = offs_m < M, offs_n < N"
NEW = "mask_m, mask_n = offs_m < M + 1, offs_n < N"
CAUGHT_BY = ("edges", "traffic")
