"""A tile of keys that the end cuts short is never stored."""

FILE = "kernels/flash_backward.py"
OLD = "    mask = mask_s[:, None] & mask_d[None, :]\n"
NEW = "    mask = (mask_s & ((s_tile + 1) * BLOCK_S <= S))[:, None] & mask_d[None, :]\n"
CAUGHT_BY = ("fresh_memory",)
