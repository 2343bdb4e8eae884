"""A key hears from the first query head of its group alone."""

FILE = "kernels/flash_backward.py"
OLD = "BLOCK_L * GROUP):"
NEW = "BLOCK_L * GROUP, GROUP):"
CAUGHT_BY = ("grouped_heads",)
