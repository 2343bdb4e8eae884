"""A persistent program starts its next tile with the sum of its last."""

FILE = "kernels/matmul.py"
OLD = "        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)\n        for k"
NEW = "        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32) if tile == tl.program_id(0) else acc\n        for k"
CAUGHT_BY = ("values",)
