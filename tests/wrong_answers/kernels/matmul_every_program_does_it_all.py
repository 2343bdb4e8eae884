"""Persistent programs step by one tile, so each computes all that follow: right, many times over."""

FILE = "kernels/matmul.py"
OLD = "tiles_m * tiles_n, tl.num_programs(0), flatten"
NEW = "tiles_m * tiles_n, 1, flatten"
CAUGHT_BY = ("order", "traffic")
