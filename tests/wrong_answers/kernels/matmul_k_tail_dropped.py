"""Only whole steps along K are taken."""

FILE = "kernels/matmul.py"
OLD = "    for k in range(0, K, BLOCK_K):\n        if EVEN_K:"
NEW = "    for k in range(0, K // BLOCK_K * BLOCK_K, BLOCK_K):\n        if EVEN_K:"
CAUGHT_BY = ("values", "traffic")
