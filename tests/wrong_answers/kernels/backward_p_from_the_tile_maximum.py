"""Probabilities are taken from the largest score of the tile, where the lse of the whole row is needed."""

FILE = "kernels/flash_backward.py"
OLD = "p = tl.exp2(s - lse[:, None])"
NEW = "p = tl.exp2(s - tl.max(s, 1)[:, None])"
CAUGHT_BY = ("values",)
