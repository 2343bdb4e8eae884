"""The last row that a window lets see the tile is left out."""

FILE = "kernels/flash_backward.py"
OLD = "end = tl.minimum(tl.maximum(last + window, 0), L)"
NEW = "end = tl.minimum(tl.maximum(last + window - 1, 0), L)"
CAUGHT_BY = ("edges_of_tiles",)
