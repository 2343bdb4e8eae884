"""The walk over queries begins behind the tile that the diagonal begins in."""

FILE = "kernels/flash_backward.py"
OLD = "        start = tl.maximum(first, 0) // BLOCK_L * BLOCK_L"
NEW = "        start = (tl.maximum(first, 0) // BLOCK_L + 1) * BLOCK_L"
CAUGHT_BY = ("values",)
