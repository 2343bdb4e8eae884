"""A tile that sticks out to the right writes one column into the next row."""

FILE = "kernels/matmul.py"
OLD = "mask=mask_m[:, None] & mask_n[None, :])"
NEW = "mask=mask_m[:, None] & (offs_n < N + 1)[None, :])"
CAUGHT_BY = ("edges", "traffic")
